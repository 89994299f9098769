"""How long a level is held: look after every block, and end it when its gates are decided.

`HeldLevel` is what an engine gives: the level goes on as time passes, and its finished turns are
returned. `hold` asks for block after block. It never tells the engine what it concluded, so turns
are not chosen by their results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from voicebench.load.call_plan import LoadPlan
from voicebench.load.drift import Drift, SoakSamples
from voicebench.load.level import LevelJudgement, judge_level
from voicebench.load.level_rule import ClientState, LevelRule, LevelStanding, Window
from voicebench.load.loaded_turn import GrowingTurns, LevelTurns, LoadedTurn
from voicebench.load.steadiness import STEADY_BLOCKS as BLOCKS_TO_BE_STEADY
from voicebench.load.steadiness import steady_from, unsteady_until

SHORTEST_S = 0.001
"""A level that was interrupted before it began was held for so long: no window is empty."""


class HeldLevel(Protocol):
    """A level that an engine has started; its clock is 0 at the start."""

    def advance(self, until_s: float) -> Sequence[LoadedTurn]:
        """Let the level go on until ``until_s``; return the turns that ended since the last call.

        Returns at once if the client's side failed (`ClientState.broken`). Raises
        `KeyboardInterrupt`; the finished turns come with the next call.
        """
        ...

    def now_s(self) -> float:
        """Return the moment on the level's clock."""
        ...

    def open_due_s(self) -> Sequence[float]:
        """Return the due moments of the turns that have started and not ended."""
        ...

    def drain(self, due_before_s: float, at_most_s: float) -> Sequence[LoadedTurn]:
        """Go on under full load until every turn that was due before ``due_before_s`` has ended.

        After ``at_most_s`` those that are left are returned as ``unfinished``. Then the level ends.
        """
        ...

    def client_state(self) -> ClientState:
        """Return the state of the client's side so far."""
        ...

    def abandon(self) -> Sequence[LoadedTurn]:
        """End the level at once; return the turns that ended, and drop the open ones."""
        ...

    def close(self) -> None:
        """Release what the level uses. It has ended, or an error ends it."""
        ...


class Engine(Protocol):
    """Carries out a plan: takes its turns when they are due, and yields finished turns."""

    def start(self, plan: LoadPlan, level: int) -> HeldLevel:
        """Start the level with this number. Raises a `VoicebenchError` if that fails."""
        ...


@dataclass(frozen=True, slots=True)
class Times:
    """The times of a level, in seconds."""

    first_s: float
    """The earliest start of the window: the ramp, and one mean cycle."""
    longest_s: float
    """The longest measured window."""
    drain_s: float
    whole: bool = False
    """Whether the level is held for its longest time even if it is decided before."""


@dataclass(frozen=True, slots=True, eq=False)
class HeldFor:
    """A level that has ended."""

    judgement: LevelJudgement
    turns: LevelTurns
    """The finished turns of all phases."""
    ended_s: float
    interrupted: bool = False
    steady: bool = True
    """False if the level never became steady; then the window is all of its blocks."""
    client: ClientState = field(default_factory=ClientState)
    soak: SoakSamples | None = None
    """None if nobody asked for drift."""

    @property
    def drifts(self) -> tuple[Drift, ...]:
        """The drift of every curve that was watched."""
        if self.soak is None:
            return ()
        return self.soak.drifts(self.measured, self.judgement.window)

    @property
    def measured(self) -> LevelTurns:
        """The finished turns that were due in the window, but for `disturbed` ones."""
        return self._in_window.rows(~self._in_window.disturbed)

    @property
    def disturbed(self) -> LevelTurns:
        """The finished turns that were due in the window, and for which a fault was made."""
        return self._in_window.rows(self._in_window.disturbed)

    @property
    def _in_window(self) -> LevelTurns:
        window = self.judgement.window
        return self.turns.due_in(window.start_s, window.end_s)


Look = Callable[[LevelJudgement, float], None]
"""Follows a level: its judgement so far, and the moment on its clock."""


def hold(
    held: HeldLevel, rule: LevelRule, times: Times, look: Look = lambda _judgement, _at_s: None
) -> HeldFor:
    """Hold a level until it is decided, or for its longest time, and judge it."""
    return _Holding(held, rule, times, look).to_its_end()


class _Holding:
    def __init__(self, held: HeldLevel, rule: LevelRule, times: Times, look: Look) -> None:
        self._held = held
        self._rule = rule
        self._times = times
        self._look = look
        self._taken = GrowingTurns(rule.metrics())
        self._began = False
        self._now_s = times.first_s
        self._start_s: float | None = None

    def to_its_end(self) -> HeldFor:
        try:
            while not self._ends():
                pass
            return self._end(self._window(), self._times.drain_s)
        except KeyboardInterrupt:
            # The block that it was in the middle of has not been held.
            self._now_s = min(self._now_s, max(self._held.now_s(), SHORTEST_S))
            self._taken.add(self._held.abandon())
            # The turns that are open now are on no record, so they are not judged either.
            turns, client = self._turns(), self._held.client_state()
            judged = judge_level(turns, self._window(), self._rule, client=client)
            steady = self._start_s is not None
            return HeldFor(judged, turns, self._now_s, interrupted=True, steady=steady)

    def _ends(self) -> bool:
        """Go on for a block; return whether the level ends with it."""
        if not self._began:
            self._taken.add(self._held.advance(self._now_s))
            self._began = True
        self._now_s += self._rule.block_s
        self._taken.add(self._held.advance(self._now_s))
        if self._held.client_state().broken:
            return True
        turns = self._turns()
        if self._is_too_short_to_see_steadiness:
            self._start_s = self._times.first_s
        elif self._start_s is None:
            self._start_s = steady_from(
                turns,
                self._times.first_s,
                self._rule.block_s,
                self._now_s,
                self._held.open_due_s(),
            )
        if self._start_s is None:
            given_up_s = unsteady_until(
                self._times.first_s, self._times.longest_s, self._rule.block_s
            )
            return self._now_s >= given_up_s - 1e-6
        window = self._window()
        judged = self._judged(turns, window)
        self._look(judged, self._now_s)
        if window.length_s >= self._times.longest_s - 1e-6:
            return True
        return not self._times.whole and is_decided(judged, self._rule)

    @property
    def _is_too_short_to_see_steadiness(self) -> bool:
        """Whether it is shorter than the blocks that show a trend. Such a level is not judged."""
        return self._times.longest_s < BLOCKS_TO_BE_STEADY * self._rule.block_s - 1e-6

    def _window(self) -> Window:
        if self._start_s is None:
            first_s = self._times.first_s
            return Window(first_s if first_s < self._now_s else 0.0, self._now_s)
        return Window(self._start_s, min(self._now_s, self._start_s + self._times.longest_s))

    def _end(self, window: Window, drain_s: float) -> HeldFor:
        self._taken.add(self._held.drain(window.end_s, drain_s))
        turns, client = self._turns(), self._held.client_state()
        steady = self._start_s is not None
        judged = judge_ended(turns, window, self._rule, client, steady=steady)
        return HeldFor(judged, turns, self._now_s, steady=steady, client=client)

    def _judged(self, turns: LevelTurns, window: Window) -> LevelJudgement:
        return judge_level(
            turns,
            window,
            self._rule,
            open_due_s=self._held.open_due_s(),
            client=self._held.client_state(),
        )

    def _turns(self) -> LevelTurns:
        return self._taken.columns()


def judge_ended(
    turns: LevelTurns, window: Window, rule: LevelRule, client: ClientState, *, steady: bool
) -> LevelJudgement:
    """Judge a level that has ended, from all its turns.

    One that never became steady is undecided, unless it is saturated.
    """
    judged = judge_level(turns, window, rule, client=client)
    if steady or client.broken or judged.saturated:
        return judged
    return replace(judged, standing=LevelStanding.UNDECIDED, reasons=(*judged.reasons, UNSTEADY))


UNSTEADY = "it never became steady; hold it for longer"


def is_decided(judgement: LevelJudgement, rule: LevelRule) -> bool:
    """Return whether a level may end: it is shown, or likely where that is enough."""
    seems = judgement.standing in (LevelStanding.SEEMS_TO_HOLD, LevelStanding.SEEMS_TO_FAIL)
    return judgement.is_shown or (seems and rule.screen_error is not None)
