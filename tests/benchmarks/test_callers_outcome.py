"""How many callers a side carries, and what is said about it."""

from __future__ import annotations

import pytest

from benchmarks.callers.calls import Turn
from benchmarks.callers.consumed import Reading
from benchmarks.callers.outcome import Level, as_json, carried, from_json, markdown, promise
from benchmarks.callers.sides import OURS, PEER

SPENT = Reading(12.0, None)


def turn(first_audio_ms: float | None = 100.0, gaps: int = 0, failure: str | None = None) -> Turn:
    return Turn(1.0, first_audio_ms, gaps, 50.0 * gaps, 3.0, failure)


def level(*turns: Turn, side: str = OURS, callers: int = 1) -> Level:
    return Level(side, callers, turns, SPENT)


def some(side: str, good: tuple[int, ...], bad: tuple[int, ...] = ()) -> list[Level]:
    """Return levels that are carried, and some that are not."""
    fine = [level(*[turn()] * 40, side=side, callers=callers) for callers in good]
    return fine + [level(*[turn(900.0)] * 40, side=side, callers=callers) for callers in bad]


@pytest.mark.parametrize(
    ("turns", "is_carried"),
    [
        ([turn()] * 40, True),
        ([turn()] * 38 + [turn(2000.0)] * 2, True),  # p95 is that of the 38
        ([turn()] * 36 + [turn(2000.0)] * 4, False),
        ([turn(300.0)] * 40, False),  # not below 300
        ([turn()] * 39 + [turn(gaps=1)], False),
        ([turn()] * 199 + [turn(gaps=1)], True),
        ([turn()] * 39 + [turn(None, failure="refused")], False),
        ([turn(None, failure="refused")] * 40, False),
        ([], False),
        ([turn()] * 9 + [turn(400.0)], False),  # too few for a p95: the largest counts
    ],
)
def test_a_level_is_carried_if_all_are_answered_in_time_without_gaps(
    turns: list[Turn], is_carried: bool
) -> None:
    assert level(*turns).is_carried is is_carried


def test_a_side_carries_no_level_beyond_one_that_it_does_not_carry() -> None:
    levels = some(OURS, (1, 2, 8), (4,)) + some(PEER, (1,), (2,))
    assert (carried(levels, OURS), carried(levels, PEER)) == (2, 1)


@pytest.mark.parametrize(
    ("ours", "peer", "found", "held"),
    [
        ((1, 2, 4, 8), (1, 2), "8 against 2 callers: at least 4 ×", True),
        ((1, 2, 4), (1, 2), "4 against 2 callers: 2 ×", False),
        ((1, 2, 4), (), "4 against 0 callers: at least 4 ×", True),
        ((), (), "0 against 0 callers: 0 ×", False),
        ((), (1, 2, 4, 8), "0 against 8 callers: 0 ×", False),
    ],
)
def test_the_promise_is_four_times_as_many_callers(
    ours: tuple[int, ...], peer: tuple[int, ...], found: str, held: bool
) -> None:
    every = (1, 2, 4, 8)
    levels = [
        one
        for side, good in ((OURS, ours), (PEER, peer))
        for one in some(side, good, tuple(sorted(set(every) - set(good))))
    ]
    assert promise(levels) == (found, held)


def test_without_a_peer_nothing_is_promised() -> None:
    assert promise(some(OURS, (1, 2))) == ("not measured", None)
    assert promise([]) == ("not measured", None)


def test_the_table_has_a_row_for_each_level_and_the_verdict() -> None:
    levels = [*some(OURS, (1,)), *some(PEER, (), (1,))]
    text = markdown(levels, "Measured today.")
    rows = [line for line in text.splitlines() if line.startswith("| 1 |")]
    assert rows == [
        "| 1 | voicebench | 40 | 100 / 100 | 1 | 0 (0 %) | 0 | 0 | 0.30 | 0.100 | yes |",
        "| 1 | llama.cpp and piper | 40 | 900 / 900 | 1 | 0 (0 %) | 0 | 0 | 0.30 | 0.100 | no |",
    ]
    assert "1 against 0 callers: at least 1 ×. NOT HELD." in text
    assert "does not show the energy" in text


def test_energy_has_a_column_where_it_is_known() -> None:
    text = markdown([Level(OURS, 1, (turn(),) * 4, Reading(2.0, 30.0))], "")
    assert "| energy, J a turn | carried |" in text
    assert "| 7.5 | yes |" in text


def test_levels_are_the_same_when_they_are_read_back() -> None:
    levels = [*some(OURS, (1,)), Level(PEER, 2, (turn(None, failure="down"),), Reading(1.0, 2.0))]
    assert from_json(as_json(levels)) == levels
