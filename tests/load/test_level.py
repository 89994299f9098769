"""A level is judged from its turns alone: what broken level would pass?"""

from __future__ import annotations

from dataclasses import replace

import pytest
from loaded_turns import LIMIT, SLOW_MS, columns, rule, spread, turn

from voicebench.load.level import judge_level
from voicebench.load.level_rule import ClientState, LevelStanding, Window, block_length
from voicebench.load.loaded_turn import LoadedTurn, is_ours
from voicebench.turn.timeline import Failure

WINDOW = Window(0.0, 300.0)


def standing(turns: list[LoadedTurn], *gates: str, window: Window = WINDOW) -> LevelStanding:
    return judge_level(columns(turns, *gates), window, rule(*gates)).standing


def test_enough_good_turns_hold() -> None:
    assert standing(spread(300, 300)) is LevelStanding.HOLDS


def test_too_few_good_turns_are_undecided() -> None:
    assert standing(spread(70, 300)) is LevelStanding.UNDECIDED


def test_a_level_of_seven_blocks_is_undecided() -> None:
    assert standing(spread(300, 210), window=Window(0, 210)) is LevelStanding.UNDECIDED


def test_every_tenth_turn_slow_fails() -> None:
    found = judge_level(columns(spread(900, 300, range(0, 900, 8))), WINDOW, rule())
    assert found.standing is LevelStanding.FAILS
    assert found.gates[0].bounds.high < 0.95


def test_a_median_that_is_fine_hides_nothing() -> None:
    slow = range(0, 900, 8)
    found = judge_level(columns(spread(900, 300, slow)), WINDOW, rule())
    assert found.rates["good.rate"] == pytest.approx(1 - len(slow) / 900)


@pytest.mark.parametrize("outcome", ["failed", "refused"])
def test_turns_that_were_not_answered_are_bad_and_counted(outcome: str) -> None:
    turns = spread(900, 300)
    for number in range(0, 900, 8):
        turns[number] = turn(turns[number].due_s, None, outcome)  # type: ignore[arg-type]
    found = judge_level(columns(turns), WINDOW, rule())
    assert found.standing is LevelStanding.FAILS
    assert found.gates[0].bounds.n == 900
    assert found.rates["errors.rate"] == pytest.approx(113 / 900)


def test_fast_failures_do_not_make_a_level_faster() -> None:
    turns = [turn(one.due_s, 1.0, "failed") for one in spread(900, 300)]
    assert standing(turns) is LevelStanding.FAILS
    assert standing(turns, LIMIT, "errors.rate <= 1%") is LevelStanding.FAILS


def test_over_one_percent_unfinished_says_nothing() -> None:
    turns = spread(900, 300)
    for number in range(0, 900, 60):
        turns[number] = turn(turns[number].due_s, None, "unfinished")
    found = judge_level(columns(turns), WINDOW, rule())
    assert found.standing is LevelStanding.INVALID
    assert "1.7 % of the turns were still open" in found.reasons[0]
    # Where the level fails even if they had all been good, it fails.
    for number in range(3, 900, 8):
        turns[number] = turn(turns[number].due_s, SLOW_MS)
    assert judge_level(columns(turns), WINDOW, rule()).standing is LevelStanding.FAILS


def test_turns_that_found_nothing_to_connect_with_here_are_not_the_servers() -> None:
    starved = [
        replace(one, outcome="failed", is_ours=True) if number % 5 == 0 else one
        for number, one in enumerate(spread(300, 300.0))
    ]
    judged = judge_level(columns(starved), WINDOW, rule())
    assert judged.standing is LevelStanding.INVALID
    assert judged.reasons == ("60 turns found no file descriptor or port left on this machine",)
    # A gate that the other turns fail by themselves fails.
    slow = [*starved, *spread(300, 300.0, slow=range(300))]
    assert judge_level(columns(slow), WINDOW, rule()).standing is LevelStanding.FAILS


@pytest.mark.parametrize(
    ("reason", "ours"),
    [
        ("ws://x cannot be reached (Too many open files); raise the limit", True),
        ("http://x cannot be reached (Cannot assign requested address); try", True),
        ("ws://x cannot be reached (Connection refused); start the server", False),
        ("http://x answers 500: Too many open files", False),
    ],
)
def test_which_failures_are_of_this_machine(reason: str, *, ours: bool) -> None:
    assert is_ours(Failure(reason, "refused", "connect")) is ours
    assert not is_ours(None)


def test_a_late_client_makes_a_level_invalid() -> None:
    turns = [turn(one.due_s, 100.0, late_ms=6.0) for one in spread(300, 300)]
    found = judge_level(columns(turns), WINDOW, rule())
    assert found.standing is LevelStanding.INVALID
    assert found.reasons == ("turns began late: late_ms p99 is 6.0 ms, and 5 is allowed",)
    turns = [turn(one.due_s, 100.0, late_ms=4.9) for one in spread(300, 300)]
    assert standing(turns) is LevelStanding.HOLDS


def test_a_client_that_reads_late_makes_a_level_invalid() -> None:
    turns = [turn(one.due_s, 100.0, client_lag_ms=6.0) for one in spread(300, 300)]
    assert standing(turns) is LevelStanding.INVALID


@pytest.mark.parametrize(
    ("client", "reason"),
    [
        (ClientState(busiest_core=0.81), "a core of the client was 81 % busy"),
        (ClientState(foreign=0.30), "other programs used 30 % of the cores"),
    ],
)
def test_a_busy_machine_makes_a_level_invalid(client: ClientState, reason: str) -> None:
    found = judge_level(columns(spread(300, 300)), WINDOW, rule(), client=client)
    assert (found.standing, found.reasons) == (LevelStanding.INVALID, (reason,))


def test_a_client_within_its_bounds_is_no_reason() -> None:
    client = ClientState(busiest_core=0.79, foreign=0.2)
    found = judge_level(columns(spread(300, 300)), WINDOW, rule(), client=client)
    assert found.standing is LevelStanding.HOLDS


def test_only_turns_due_in_the_window_count() -> None:
    ramp = [turn(one.due_s - 300, SLOW_MS) for one in spread(300, 300)]
    drain = [turn(one.due_s + 300, SLOW_MS) for one in spread(300, 300)]
    found = judge_level(columns([*ramp, *spread(300, 300), *drain]), WINDOW, rule())
    assert (found.standing, found.turns) == (LevelStanding.HOLDS, 300)


def test_a_turn_counts_to_its_end_however_long_it_takes() -> None:
    turns = spread(900, 300)
    for number in range(0, 900, 8):
        turns[number] = turn(turns[number].due_s, 90_000.0, lasts_s=95.0)
    assert standing(turns) is LevelStanding.FAILS


def test_turns_that_go_on_are_bad_for_holding_and_good_for_failing() -> None:
    turns = columns(spread(300, 300))
    open_due_s = [float(at_s) for at_s in range(0, 300, 10)]
    found = judge_level(turns, WINDOW, rule(), open_due_s=open_due_s)
    assert found.standing is LevelStanding.UNDECIDED
    failing = columns(spread(400, 300, range(0, 400, 8)))
    assert judge_level(failing, WINDOW, rule()).standing is LevelStanding.FAILS
    found = judge_level(failing, WINDOW, rule(), open_due_s=open_due_s * 20)
    assert found.standing is LevelStanding.UNDECIDED


def test_bad_turns_in_runs_prove_less_than_scattered_ones() -> None:
    scattered = range(0, 1200, 60)
    in_a_run = range(200, 220)
    apart = judge_level(columns(spread(1200, 300, scattered)), WINDOW, rule())
    together = judge_level(columns(spread(1200, 300, in_a_run)), WINDOW, rule())
    assert apart.rates["good.rate"] == together.rates["good.rate"]
    assert together.gates[0].bounds.effective_n < 0.3 * apart.gates[0].bounds.effective_n
    assert apart.standing is LevelStanding.HOLDS
    assert together.standing is LevelStanding.UNDECIDED


def test_a_rise_to_the_end_is_saturated_even_below_the_limit() -> None:
    turns = [turn(one.due_s, 10 + one.due_s / 2) for one in spread(900, 450)]
    found = judge_level(columns(turns), Window(0.0, 450.0), rule())
    assert found.standing is LevelStanding.FAILS
    assert found.saturated
    assert "saturated" in found.reasons[-1]


def test_one_bad_turn_spoils_its_call() -> None:
    turns = []
    for number, one in enumerate(spread(900, 300)):
        slow = number % 45 == 0  # 2 % of the turns, one in every tenth call
        turns.append(turn(one.due_s, SLOW_MS if slow else 100.0, caller=number // 5))
    gates = (LIMIT, "good.rate >= 95%", "good_calls.rate >= 95%")
    found = judge_level(columns(turns, *gates), WINDOW, rule(*gates))
    assert found.rates["good.rate"] == pytest.approx(1 - 20 / 900)
    assert found.rates["good_calls.rate"] == pytest.approx(1 - 20 / 180)
    assert [gate.bounds.n for gate in found.gates] == [900, 900, 180]
    assert found.gates[2].standing is not LevelStanding.HOLDS
    assert found.standing is not LevelStanding.HOLDS


def test_the_worst_gate_decides() -> None:
    turns = [turn(one.due_s, 100.0, stall_count=1.0) for one in spread(900, 300)]
    gates = (LIMIT, "stall_count.within(0) >= 99%")
    found = judge_level(columns(turns, *gates), WINDOW, rule(*gates))
    assert [gate.standing for gate in found.gates] == [LevelStanding.HOLDS, LevelStanding.FAILS]
    assert found.standing is LevelStanding.FAILS


def test_an_empty_window_is_invalid_and_no_gate_is_no_pass() -> None:
    assert standing([turn(400)]) is LevelStanding.INVALID
    without = judge_level(columns(spread(300, 300)), WINDOW, rule().__class__((), 30.0, 0.05))
    assert without.standing is LevelStanding.UNDECIDED


def test_a_search_takes_what_is_likely() -> None:
    few = columns(spread(40, 300))
    likely = judge_level(few, WINDOW, rule(screen_error=0.2))
    assert likely.standing in (LevelStanding.SEEMS_TO_HOLD, LevelStanding.UNDECIDED)
    climbing = judge_level(few, WINDOW, rule(screen_error=0.2, climbs=True))
    assert climbing.standing is LevelStanding.SEEMS_TO_HOLD
    slow = judge_level(columns(spread(40, 300, range(0, 40, 5))), WINDOW, rule(screen_error=0.2))
    assert slow.standing is LevelStanding.SEEMS_TO_FAIL


def test_means_over_the_window() -> None:
    found = judge_level(columns(spread(600, 300)), WINDOW, rule())
    assert found.in_flight == pytest.approx(2.0, rel=0.01)
    assert found.audio_x == pytest.approx(4.0)


def test_a_block_is_30_seconds_and_at_least_three_cycles() -> None:
    assert block_length(2.0) == 30.0
    assert block_length(20.0) == 60.0


def test_turns_for_which_a_fault_was_made_are_not_blamed_on_the_server() -> None:
    good = spread(400, 240.0)
    reset = [replace(turn(at_s, outcome="failed"), fault="reset") for at_s in range(1, 240, 4)]
    judged = rule("errors.rate <= 5%")
    window = Window(0.0, 240.0)
    found = judge_level(columns([*good, *reset], "errors.rate <= 5%"), window, judged)
    assert found.standing is LevelStanding.HOLDS
    assert (found.turns, found.rates["errors.rate"]) == (400, 0.0)
    blamed = [replace(one, fault=None) for one in reset]
    found = judge_level(columns([*good, *blamed], "errors.rate <= 5%"), window, judged)
    assert found.standing is LevelStanding.FAILS
    only = judge_level(columns(reset, "errors.rate <= 5%"), window, judged)
    assert only.standing is LevelStanding.INVALID
