"""How long a level is held, with engines that are made by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from loaded_turns import FAST_MS, SLOW_MS, rule, turn

from voicebench.load.holding import HeldFor, Times, hold
from voicebench.load.level import judge_level
from voicebench.load.level_rule import ClientState, LevelStanding, Window
from voicebench.load.loaded_turn import LoadedTurn

TIMES = Times(first_s=10.0, longest_s=600.0, drain_s=60.0)
WHOLE = Times(10.0, 600.0, 60.0, whole=True)


class Steady:
    """Two turns a second, each with first audio after a time that depends on its due moment."""

    def __init__(
        self,
        first_audio: Callable[[float], float],
        *,
        stuck_at_s: float | None = None,
        interrupted_at_s: float | None = None,
        broken_at_s: float | None = None,
    ) -> None:
        self.first_audio = first_audio
        self.stuck_at_s = stuck_at_s
        self.interrupted_at_s = interrupted_at_s
        self.broken_at_s = broken_at_s
        self.broken: tuple[str, ...] = ()
        self.at_s = self.until_s = 0.0
        self.drained: tuple[float, float] | None = None

    def advance(self, until_s: float) -> Sequence[LoadedTurn]:
        self.until_s = until_s
        if self.interrupted_at_s is not None and until_s > self.interrupted_at_s:
            raise KeyboardInterrupt
        if self.broken_at_s is not None and until_s > self.broken_at_s:
            self.broken = ("a process of the client failed",)
        found = [
            turn(number / 2, self.first_audio(number / 2), caller=number % 9)
            for number in range(int(2 * self.at_s), int(2 * until_s))
            if number / 2 != self.stuck_at_s
        ]
        self.at_s = until_s
        return found

    def now_s(self) -> float:
        at_s = self.interrupted_at_s
        return self.until_s if at_s is None else min(at_s, self.until_s)

    def open_due_s(self) -> Sequence[float]:
        stuck = self.stuck_at_s
        return [stuck] if stuck is not None and stuck < self.at_s else []

    def drain(self, due_before_s: float, at_most_s: float) -> Sequence[LoadedTurn]:
        self.drained = due_before_s, at_most_s
        return [turn(due_s, None, "unfinished") for due_s in self.open_due_s()]

    def client_state(self) -> ClientState:
        return ClientState(broken=self.broken)

    def abandon(self) -> Sequence[LoadedTurn]:
        return [turn(self.at_s, fast(self.at_s))]

    def close(self) -> None:
        pass


def fast(due_s: float) -> float:
    return FAST_MS + due_s % 7


def test_a_level_ends_when_it_is_decided_and_not_before_eight_blocks() -> None:
    looks: list[float] = []
    held = hold(Steady(fast), rule(), TIMES, lambda _, at_s: looks.append(at_s))
    assert held.judgement.standing is LevelStanding.HOLDS
    assert held.judgement.window.start_s == 10.0
    assert held.judgement.window.length_s == 240.0
    assert looks == [130.0 + 30 * number for number in range(5)]


def test_a_whole_level_is_held_for_its_longest_time() -> None:
    times = Times(10.0, 600.0, 60.0, whole=True)
    held = hold(Steady(fast), rule(), times)
    assert held.judgement.window.length_s == 600.0


def test_a_level_that_is_not_decided_ends_after_its_longest_time() -> None:
    def near(due_s: float) -> float:
        return SLOW_MS if int(2 * due_s) % 20 == 3 else FAST_MS  # exactly 95 % are fast

    held = hold(Steady(near), rule(), TIMES)
    assert held.judgement.standing is LevelStanding.UNDECIDED
    assert held.judgement.window.length_s == 600.0


def test_a_beginning_that_warms_up_is_dropped() -> None:
    held = hold(Steady(lambda due_s: 2000 * 0.94**due_s + fast(due_s)), rule(), TIMES)
    assert held.judgement.window.start_s > 60
    assert held.judgement.standing is LevelStanding.HOLDS


def test_a_rise_that_stays_fails_without_an_average() -> None:
    engine = Steady(lambda due_s: 10 + due_s / 10)
    held = hold(engine, rule(), TIMES)
    assert held.judgement.standing is LevelStanding.FAILS
    assert held.judgement.saturated
    assert "saturated" in held.judgement.reasons[-1]
    assert engine.drained is not None


def test_four_blocks_that_rise_by_chance_fail_no_level() -> None:
    by_block = [10, 12, 14, 16, 11, 12, 10, 13, 11, 12, 10, 13]
    times = Times(10.0, 240.0, 60.0)
    held = hold(
        Steady(lambda due_s: by_block[int(max(due_s - 10, 0) / 30)] + due_s % 1), rule(), times
    )
    assert held.steady
    assert held.judgement.window == Window(40.0, 280.0)
    assert held.judgement.standing is LevelStanding.HOLDS


def test_a_short_level_that_only_rises_fails_after_eight_blocks() -> None:
    engine = Steady(lambda due_s: 10 + due_s / 5)
    held = hold(engine, rule(), Times(10.0, 240.0, 60.0))
    assert not held.steady
    assert held.judgement.window == Window(10.0, 250.0)
    assert held.judgement.standing is LevelStanding.FAILS
    assert held.judgement.reasons == ("saturated: turns in flight or first audio rise to the end",)


def test_a_fall_that_stays_is_undecided() -> None:
    held = hold(Steady(lambda due_s: 1000 * 0.99**due_s), rule(), TIMES)
    assert held.judgement.standing is LevelStanding.UNDECIDED
    assert held.judgement.reasons[-1].startswith("it never became steady")


def test_a_turn_that_never_ends_is_unfinished_and_counted() -> None:
    engine = Steady(fast, stuck_at_s=50.0)
    held = hold(engine, rule(), TIMES)
    assert engine.drained == (held.judgement.window.end_s, 60.0)
    assert held.judgement.rates["unfinished.rate"] == pytest.approx(1 / held.judgement.turns)
    assert held.judgement.standing is LevelStanding.HOLDS
    assert held.judgement.gates[0].bounds.good == held.judgement.turns - 1


def test_ctrl_c_keeps_what_was_taken_so_far() -> None:
    held: HeldFor = hold(Steady(fast, interrupted_at_s=200.0), rule(), TIMES)
    assert held.interrupted
    assert held.turns.n == 2 * 190 + 1
    # Neither the window nor the price has what was not held of the last block.
    assert held.ended_s == held.judgement.window.end_s == 200.0
    early: HeldFor = hold(Steady(fast, interrupted_at_s=5.0), rule(), TIMES)
    assert early.interrupted
    assert early.turns.n == 1
    assert early.ended_s == early.judgement.window.end_s == 5.0


def test_an_interrupted_level_is_judged_by_what_is_on_record() -> None:
    held = hold(Steady(fast, stuck_at_s=50.0, interrupted_at_s=400.0), rule(), WHOLE)
    assert held.interrupted
    again = judge_level(held.turns, held.judgement.window, rule())
    assert held.judgement.gates == again.gates


def test_a_level_that_is_interrupted_before_it_begins_is_judged_without_a_turn() -> None:
    held = hold(Steady(fast, interrupted_at_s=-0.5), rule(), TIMES)
    assert held.interrupted
    assert 0 < held.ended_s < 0.01


@pytest.mark.parametrize("at_s", [5.0, 60.0, 300.0])
def test_a_client_that_breaks_ends_the_level_as_invalid(at_s: float) -> None:
    engine = Steady(fast, broken_at_s=at_s)
    held = hold(engine, rule(), Times(10.0, 600.0, 60.0, whole=True))
    assert held.judgement.standing is LevelStanding.INVALID
    assert held.judgement.reasons[0] == "a process of the client failed"
    assert engine.drained is not None
    assert held.ended_s < at_s + 60


def test_a_level_that_is_not_judged_may_be_shorter_than_a_trend() -> None:
    held = hold(Steady(fast), rule(), Times(10.0, 60.0, 60.0, whole=True))
    assert held.judgement.window.start_s == 10.0
    assert held.judgement.window.length_s == 60.0
    assert held.ended_s == 70.0
