"""The simulated target: every delay of a turn is written in a script.

It tests the instrument. A script such as
``sim:ttft=120ms,token=8ms,ttfb=70ms,speed=4x,silence=30ms,fail=7`` says when each token, text
chunk and piece of audio comes; the real chunker cuts the text. On a `VirtualClock` the recorded
timeline equals the script to the nanosecond, without waiting. On the real clock the difference is
the instrument's own error (``voicebench selftest``). The audio is computed to look like speech.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from voicebench.audio.pcm import AudibleRule
from voicebench.audio.synthetic_voice import synthetic_voice
from voicebench.events import (
    AudioChunk,
    Emit,
    Event,
    TextChunk,
    Token,
    TurnFailed,
    TurnFinished,
    TurnStarted,
)
from voicebench.load.draws import ARRIVALS, draws_of
from voicebench.targets import Say, TargetKind
from voicebench.targets.cancelling import RunningReply
from voicebench.targets.script import PREFIX, Script, parse_script
from voicebench.text.chat_template import PastMessage
from voicebench.text.chunking import Chunker
from voicebench.turn.timeline import Stamped, Timeline, seal

if TYPE_CHECKING:
    from voicebench.settings import Settings

SAMPLE_RATE = 16_000
WINDOW_S = 0.1
"""Each piece of audio is at most this long."""
SECONDS_PER_WORD = 0.3
LONGEST_SPEECH_S = 30.0
"""A longer text chunk repeats its sound in whole periods, so that it fits into memory."""
NS_PER_S = 1_000_000_000

_REPLY = (
    "The weather will stay clear and mild today, with a light wind from the west. "
    "Take a jacket along for the evening."
)


@dataclass(frozen=True, slots=True)
class Scripted:
    """An event and when it has to happen, in nanoseconds after the turn's start."""

    at_ns: int
    event: Event


def plan_turn(script: Script, prompt: str, chunker: Chunker, *, fails: bool) -> list[Scripted]:
    """Return the whole turn as it must be recorded, in order of time."""
    plan = [Scripted(0, TurnStarted(prompt))]
    waiting: list[tuple[int, str]] = []
    token_ns = 0
    for token_ns, token in plan_tokens(script):
        plan.append(Scripted(token_ns, token))
        if fails:
            plan.append(Scripted(token_ns, TurnFailed("scripted failure", "engine", "llm")))
            return plan
        waiting += [(token_ns, chunk) for chunk in chunker.feed(token.text)]
    waiting += [(token_ns, chunk) for chunk in chunker.finish()]
    plan += plan_speech(script, waiting)
    plan.sort(key=lambda scripted: scripted.at_ns)
    plan.append(Scripted(plan[-1].at_ns, TurnFinished()))
    return plan


def plan_tokens(script: Script) -> list[tuple[int, Token]]:
    """Return the reply's tokens, each with its moment in nanoseconds after the turn's start."""
    reply = _REPLY.split()
    words = [reply[index % len(reply)] for index in range(script.words)]
    return [
        (_ns(script.ttft_s + index * script.token_s), Token(f" {word}" if index else word))
        for index, word in enumerate(words)
    ]


def plan_speech(script: Script, waiting: list[tuple[int, str]]) -> list[Scripted]:
    """Return the speech of the chunks, one after the other, each as soon as the voice is free.

    ``waiting`` has each text chunk and the nanosecond at which it is complete.
    """
    plan: list[Scripted] = []
    free_ns = 0
    silence_s = script.silence_s
    for closed_ns, chunk in waiting:
        start_ns = max(closed_ns, free_ns)
        plan.append(Scripted(start_ns, TextChunk(chunk)))
        seconds = len(chunk.split()) * SECONDS_PER_WORD
        voice = _speech(min(seconds, LONGEST_SPEECH_S), silence_s)
        silent = round(silence_s * SAMPLE_RATE)
        silence_s = 0.0
        size = silent + round(seconds * SAMPLE_RATE)
        window = round(WINDOW_S * SAMPLE_RATE)
        free_ns = start_ns + _ns(script.ttfb_s)
        for begin in range(0, size, window):
            piece = _again(voice, silent, begin, min(begin + window, size))
            if begin > 0:
                free_ns += round(piece.size * NS_PER_S / SAMPLE_RATE / script.speed_x)
            plan.append(Scripted(free_ns, AudioChunk(piece, SAMPLE_RATE)))
    return plan


def _speech(seconds: float, silence_s: float) -> NDArray[np.float32]:
    silent = np.zeros(round(silence_s * SAMPLE_RATE), dtype=np.float32)
    return np.concatenate([silent, synthetic_voice(round(seconds * SAMPLE_RATE), SAMPLE_RATE)])


def _again(voice: NDArray[np.float32], silent: int, begin: int, end: int) -> NDArray[np.float32]:
    """Return samples ``begin`` to ``end`` of ``voice``, repeated after its ``silent`` head."""
    if end <= voice.size:
        return voice[begin:end]
    first = silent + (begin - silent) % (voice.size - silent)
    piece = voice[first : first + end - begin]
    missing = end - begin - piece.size
    return np.concatenate([piece, voice[silent : silent + missing]]) if missing else piece


def scripted_turn(plan: Sequence[Scripted], rule: AudibleRule) -> Timeline:
    """Return the sealed turn of a plan (of `plan_turn`), as if it had been carried out exactly."""
    stamped = [Stamped(scripted.at_ns, scripted.event) for scripted in plan]
    label = "1970-01-01T00:00:00.000+00:00"
    return seal(stamped, turn=1, phase="load", started_at=label, rule=rule)[0]


def _ns(seconds: float) -> int:
    return round(seconds * NS_PER_S)


class WaitingClock(Protocol):
    """A clock that can be read and waited on."""

    def now_ns(self) -> int:
        """Return the present moment in nanoseconds."""
        ...

    def wait_until(self, at_ns: int) -> None:
        """Return at ``at_ns``, or at once if it is past."""
        ...


class VirtualClock:
    """A clock that moves only by waiting, so that a minute of turns takes no time."""

    def __init__(self) -> None:
        self._now_ns = 0

    def now_ns(self) -> int:
        """Return the present moment in nanoseconds."""
        return self._now_ns

    def wait_until(self, at_ns: int) -> None:
        """Move the clock to ``at_ns``, unless it is past."""
        self._now_ns = max(self._now_ns, at_ns)


class RealClock:
    """The computer's monotonic clock. It sleeps, then spins for the last ``spin_ns``.

    Spinning is exact, but no other thread of the process can run. A server sets it to 0.
    """

    def __init__(self, spin_ns: int = 2_000_000) -> None:
        self._spin_ns = spin_ns

    def now_ns(self) -> int:
        """Return the present moment in nanoseconds."""
        return time.perf_counter_ns()

    def wait_until(self, at_ns: int) -> None:
        """Return at ``at_ns``, or at once if it is past."""
        while (left_ns := at_ns - time.perf_counter_ns()) > 0:
            if left_ns > self._spin_ns:
                time.sleep((left_ns - self._spin_ns) / NS_PER_S)


class _Playing:
    """A turn that is being played, and when it was asked to stop."""

    def __init__(self, emit: Emit) -> None:
        self.reply = RunningReply(emit)
        self.cut_ns: int | None = None

    def interrupt(self, clock: WaitingClock) -> None:
        """Ask it to stop now."""
        now_ns = clock.now_ns()
        if self.reply.interrupt("asked"):
            self.cut_ns = now_ns


class Simulated:
    """A target that plays a `Script` on a clock."""

    def __init__(
        self,
        script: Script,
        clock: WaitingClock | None = None,
        *,
        new_chunker: Callable[[], Chunker] = Chunker,
    ) -> None:
        self.script = script
        self.clock = clock or RealClock()
        self._new_chunker = new_chunker
        self._service = script.service_time
        self._turns = count(1)
        self._plans: dict[bool, list[Scripted]] = {}
        self._plans_after: dict[int, dict[bool, list[Scripted]]] = {0: self._plans}
        self._playing: _Playing | None = None
        self._plan(fails=False)

    def run(self, prompt: str, emit: Emit) -> None:
        """Emit each event of the script at its moment."""
        turn = next(self._turns)
        fails = self.script.fail > 0 and turn % self.script.fail == 0
        emit(TurnStarted(prompt))
        # Read after the stamp of `TurnStarted`, so that no event is early.
        start_ns = self.clock.now_ns()
        start_ns += self._service_ns(turn)
        playing = self._playing = _Playing(emit)
        for scripted in self._plan(fails=fails)[1:]:
            if not self._wait_until(start_ns + scripted.at_ns, playing):
                playing.reply.emit(TurnFinished())
                break
            playing.reply.emit(scripted.event)

    def cancel(self, heard_s: float = 0.0) -> None:  # noqa: ARG002
        """Ask the running turn to stop; it goes on for the script's ``stop`` time."""
        if self._playing is not None:
            self._playing.interrupt(self.clock)

    def _wait_until(self, at_ns: int, playing: _Playing) -> bool:
        """Wait for an event; return False, sooner, if the turn is over by then."""
        stop_ns = _ns(self.script.stop_s)
        self.clock.wait_until(
            at_ns if playing.cut_ns is None else min(at_ns, playing.cut_ns + stop_ns)
        )
        return playing.cut_ns is None or at_ns <= playing.cut_ns + stop_ns

    def _service_ns(self, turn: int) -> int:
        """Return the time in a slot. Turns come one at a time here, so none waits for a slot."""
        drawn = draws_of(0, ARRIVALS, 0, turn)
        return _ns(self._service.draw(drawn.service))

    def _plan(self, *, fails: bool) -> list[Scripted]:
        """Return the plan of a turn, cached so that planning adds no delay."""
        if fails not in self._plans:
            self._plans[fails] = plan_turn(self.script, "", self._new_chunker(), fails=fails)
        return self._plans[fails]

    def in_conversation(self, earlier: Sequence[PastMessage], scope: str) -> Simulated:  # noqa: ARG002
        """Return the same script, in which each earlier turn delays the first token."""
        after = copy(self)
        turns = len(earlier) // 2
        after.script = replace(
            self.script, ttft_s=self.script.ttft_s + turns * self.script.history_s
        )
        after._plans = self._plans_after.setdefault(turns, {})
        after._plan(fails=False)
        return after

    def describe(self) -> dict[str, object]:
        """Return the script."""
        return {"target": "simulated"} | asdict(self.script)

    def close(self) -> None:
        """Nothing to release."""


class SimulatedKind(TargetKind):
    """A script of delays, written after ``sim:``."""

    name = PREFIX
    example = "sim:ttft=120ms,…"

    def check(self, settings: Settings) -> None:
        """Raise `UsageError` for a script that cannot be read."""
        parse_script(settings.run.target)

    def open(self, settings: Settings, say: Say) -> Simulated:  # noqa: ARG002
        """Return the target that plays the script; the settings' chunker cuts its text."""
        chunker = settings.chunker
        return Simulated(
            parse_script(settings.run.target),
            new_chunker=partial(Chunker, chunker.first_words, chunker.later_words),
        )
