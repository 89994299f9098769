"""The caller's manners: frame by frame, whether he speaks, waits or interrupts.

He begins a line when the agent has answered and has been silent for a second, or when his patience
is over. He interrupts only while the agent speaks. After a noise he waits until it is clear whether
the agent spoke on. All times are nanoseconds on the call's clock;
nothing here reads a clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicebench.calls.agent_watch import AgentWatch
from voicebench.calls.call_script import CallScript, CallStep
from voicebench.calls.line_sound import LineSound
from voicebench.figures.call_course import NS_PER_MS, PAUSE_AFTER_NOISE_NS, PAUSE_NS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

AUDIBLE_NOW_NS = 40 * NS_PER_MS


@dataclass(frozen=True, slots=True)
class Manners:
    """How long the caller waits, in milliseconds."""

    silence_ms: float = 1000.0
    """The agent has finished when it has been silent for so long."""
    patience_ms: float = 8000.0
    """He waits so long for an answer to an interruption; a line has its own limit."""
    longest_answer_ms: float = 45_000.0
    """He hangs up on an answer that goes on for longer."""
    opening_ms: float = 500.0
    """The silence before his first line."""


@dataclass(frozen=True, slots=True)
class PlayedStep:
    """A step that was played, or could not be."""

    number: int
    """Its place in the script, from 0."""
    frame: int
    """The frame of the call in which it began."""
    skipped: str = ""
    """Why it was not played."""


class Conversation:
    """Plays a script against an agent. ``sounds`` has the sound of each step."""

    def __init__(
        self,
        script: CallScript,
        sounds: Sequence[LineSound],
        watch: AgentWatch,
        manners: Manners | None = None,
    ) -> None:
        self.played: list[PlayedStep] = []
        self.is_over = False
        self.failure = ""
        """Why the call ended before its script; empty if it did not."""
        self._script = script
        self._sounds = sounds
        self._watch = watch
        self._manners = manners or Manners()
        self._next = 0
        self._speaking: LineSound | None = None
        self._spoken_frames = 0
        self._last_spoken: CallStep | None = None
        self._asked_from = 0.0
        self._asked_until = 0.0
        self._noise_until = 0.0

    def frame(self, number: int, now_ns: int) -> NDArray[np.int16] | None:
        """Return what the caller sends in frame ``number`` at ``now_ns``; None is silence."""
        self._watch.until(now_ns)
        if self._watch.failure and not self.is_over:
            self._end(self._watch.failure)
        if self.is_over:
            return None
        if self._speaking is None:
            self._decide(number, now_ns)
        if self._speaking is None:
            return None
        return self._speak(self._speaking, now_ns)

    def _speak(self, sound: LineSound, now_ns: int) -> NDArray[np.int16]:
        frame: NDArray[np.int16] = sound.frames[self._spoken_frames]
        step = self._script.steps[self._next - 1]
        if self._spoken_frames == sound.first_frame:
            if step.kind == "noise":
                self._noise_until = now_ns + step.limit_ms * NS_PER_MS + PAUSE_AFTER_NOISE_NS
            else:
                self._asked_from = float(now_ns)
        self._spoken_frames += 1
        if self._spoken_frames == len(sound.frames):
            self._speaking = None
            if step.kind != "noise":
                self._last_spoken = step
                self._asked_until = float(now_ns)
        return frame

    def _decide(self, number: int, now_ns: int) -> None:
        """Begin the next step, skip it, end the call, or go on waiting."""
        answered = self._answered()
        if self._is_endless(answered, now_ns):
            longest_s = self._manners.longest_answer_ms / 1000
            self._end(
                f"the agent talks on after {longest_s:g} s; "
                "call.longest_answer_s lets it talk longer"
            )
            return
        while not self.is_over and self._speaking is None:
            if self._next == len(self._script.steps):
                self.is_over = self._has_finished(answered, now_ns)
                return
            step = self._script.steps[self._next]
            if step.at_ms is None:
                if not self._may_begin_line(answered, now_ns):
                    return
                self._begin(number)
            elif not self._take_interruption(step.at_ms, answered, number, now_ns):
                return

    def _take_interruption(
        self, at_ms: float, answered: float | None, number: int, now_ns: int
    ) -> bool:
        """Begin or skip a step that comes into an answer; return False to wait."""
        if answered is None:
            if self._is_patient(now_ns):
                return False
            self._skip(number, "the agent did not answer the line before")
            return True
        silent_ns = self._watch.silent_for_ns(now_ns)
        due = now_ns >= answered + at_ms * NS_PER_MS and now_ns >= self._noise_until
        if due and silent_ns < AUDIBLE_NOW_NS:
            self._begin(number)
            return True
        if silent_ns >= self._manners.silence_ms * NS_PER_MS and now_ns >= self._noise_until:
            length_s = (now_ns - silent_ns - answered) / 1e9
            self._skip(number, f"the agent's answer ended after {length_s:.1f} s")
            return True
        return False

    def _may_begin_line(self, answered: float | None, now_ns: int) -> bool:
        if self._last_spoken is None:
            if self._script.greeting and not self._watch.spoken:
                return now_ns >= self._manners.patience_ms * NS_PER_MS
            if now_ns < self._manners.opening_ms * NS_PER_MS:
                return False
            return not self._watch.spoken or self._is_silent(now_ns)
        return self._has_finished(answered, now_ns)

    def _has_finished(self, answered: float | None, now_ns: int) -> bool:
        if now_ns < self._noise_until:
            return False
        if answered is None:
            return not self._is_patient(now_ns)
        return self._is_silent(now_ns)

    def _is_silent(self, now_ns: int) -> bool:
        return self._watch.silent_for_ns(now_ns) >= self._manners.silence_ms * NS_PER_MS

    def _is_patient(self, now_ns: int) -> bool:
        """Return whether the caller still waits: from his last sound, or the agent's if later."""
        step = self._last_spoken
        patience_ms = self._manners.patience_ms
        if step is not None and step.kind == "line":
            patience_ms = step.limit_ms
        heard_until = self._watch.spoken[-1][1] if self._watch.spoken else 0.0
        return now_ns - max(self._asked_until, heard_until) < patience_ms * NS_PER_MS

    def _answered(self) -> float | None:
        """Return when the answer began; None if there is none yet.

        An agent that cut in, and was silent when the caller had finished, has yet to answer.
        """
        if self._last_spoken is None:
            return None
        first = self._watch.began_after(self._asked_from, PAUSE_NS)
        if first is None or first >= self._asked_until:
            return first
        if self._watch.spoke_at(self._asked_until):
            return first
        return self._watch.began_after(self._asked_until, PAUSE_NS)

    def _is_endless(self, answered: float | None, now_ns: int) -> bool:
        """Return whether the agent speaks for too long: since its answer, or the interruption."""
        longest = self._manners.longest_answer_ms * NS_PER_MS
        since = self._asked_until if answered is None else answered
        return not self._is_silent(now_ns) and now_ns - since >= longest

    def _begin(self, number: int) -> None:
        self.played.append(PlayedStep(self._next, number))
        self._speaking = self._sounds[self._next]
        self._spoken_frames = 0
        self._next += 1

    def _skip(self, number: int, why: str) -> None:
        self.played.append(PlayedStep(self._next, number, why))
        self._next += 1

    def _end(self, failure: str) -> None:
        self.is_over = True
        self.failure = failure
