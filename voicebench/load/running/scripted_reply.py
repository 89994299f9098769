"""The replies of a script as sealed turns, whose stamps can be moved, whole or interrupted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from voicebench.audio.pcm import AudibleRule
from voicebench.figures.metrics import BY_NAME, NS_PER_MS
from voicebench.load.loaded_turn import Outcome
from voicebench.targets.script import Script
from voicebench.targets.scripted_stop import plan_stop
from voicebench.targets.simulated import Scripted, scripted_turn
from voicebench.turn.cut import Cut, moved_cut
from voicebench.turn.listened import cut_while_playing, heard_until_ns
from voicebench.turn.load_place import LoadPlace
from voicebench.turn.playback import NS_PER_S
from voicebench.turn.timeline import TimedText, Timeline


@dataclass(frozen=True)
class ScriptedReply:
    """The reply of a script as a sealed turn, whose stamps can be moved."""

    turn: Timeline
    metrics: tuple[str, ...]
    interrupts: bool = False
    """Whether with it the caller interrupts the turn before."""

    @cached_property
    def _lines(self) -> list[tuple[str, float | None, bool]]:
        """Each metric at no delay, and whether it grows by the delay."""
        moved = self.after(NS_PER_S)
        placed = [_placed(turn, interrupts=self.interrupts) for turn in (self.turn, moved)]
        lines: list[tuple[str, float | None, bool]] = []
        for name in self.metrics:
            at_once, later = BY_NAME[name].of(placed[0]), BY_NAME[name].of(placed[1])
            grows = at_once is not None and later is not None and later - at_once > 1.0
            lines.append((name, at_once, grows))
        return lines

    def values(self, delay_ns: int) -> dict[str, float | None]:
        """Return the metrics of a turn whose reply begins ``delay_ns`` after its start.

        They are computed in nanoseconds as from the stamps of `after`: the same floats.
        """
        return {
            name: (_in_ns(at_once) + delay_ns) / NS_PER_MS
            if grows and at_once is not None
            else at_once
            for name, at_once, grows in self._lines
        }

    @cached_property
    def length_s(self) -> float:
        """From the beginning of the reply to its end."""
        return self.turn.end_ns / NS_PER_S

    @cached_property
    def heard_s(self) -> float:
        """From the beginning of the reply to the end of playback; of the turn, if it failed."""
        return heard_until_ns(self.turn) / NS_PER_S

    @property
    def outcome(self) -> Outcome:
        """The outcome of such a turn."""
        if self.turn.failed:
            return "failed"
        return "answered" if self.turn.is_whole else "cut"

    def after(self, delay_ns: int) -> Timeline:
        """Return the turn with everything after its start moved by ``delay_ns``."""
        turn = self.turn
        return replace(
            turn,
            end_ns=turn.end_ns + delay_ns,
            tokens=tuple(TimedText(at + delay_ns, text) for at, text in turn.tokens),
            chunks=tuple(TimedText(at + delay_ns, text) for at, text in turn.chunks),
            audio=tuple(one._replace(at_ns=one.at_ns + delay_ns) for one in turn.audio),
            cut=turn.cut and moved_cut(turn.cut, delay_ns),
        )


class ScriptedInterruptions:
    """The replies of a script that the caller interrupts, at any moment after first audio."""

    def __init__(
        self, plan: Sequence[Scripted], script: Script, rule: AudibleRule, whole: ScriptedReply
    ) -> None:
        self._plan = plan
        self._stop_ns = round(script.stop_s * NS_PER_S)
        self._rule = rule
        self._whole = whole
        self._heads: dict[int, Timeline] = {}

    def after(self, after_s: float) -> ScriptedReply:
        """Return the reply interrupted so long after first audio; the whole one if heard out."""
        turn = self._whole.turn
        if not turn.audio:
            return self._whole
        after_ns = round(after_s * NS_PER_S)
        cut_ns = turn.audio[0].at_ns + after_ns
        if cut_ns >= turn.end_ns:
            cut = cut_while_playing(turn, after_ns)
            return self._whole if cut is turn else ScriptedReply(cut, self._whole.metrics)
        stopped = plan_stop(self._plan, cut_ns, self._stop_ns)
        # The audio is described once for each length: that takes most of the time.
        if len(stopped) not in self._heads:
            self._heads[len(stopped)] = scripted_turn(stopped, self._rule)
        head, end_ns = self._heads[len(stopped)], stopped[-1].at_ns
        cut = replace(head, end_ns=end_ns, cut=Cut(cut_ns, "asked", end_ns))
        return ScriptedReply(cut, self._whole.metrics)


def _placed(turn: Timeline, *, interrupts: bool = False) -> Timeline:
    return replace(turn, load=LoadPlace(1, 0, 0, 0, 0, 0, interrupts=interrupts))


def _in_ns(milliseconds: float) -> float:
    """Return nanoseconds, whole if they were whole before they became milliseconds."""
    found = milliseconds * NS_PER_MS
    return round(found) if abs(found - round(found)) < 1e-3 else found
