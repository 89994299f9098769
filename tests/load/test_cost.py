"""The price of a level, and whether its longest time can decide its gates."""

from __future__ import annotations

import pytest

from voicebench.errors import UsageError
from voicebench.load.cost import GateCost, level_cost
from voicebench.load.load_gate import load_gates
from voicebench.load.turn_mix import TurnMix, mix_of_script


def test_a_share_of_99_percent_takes_about_eight_minutes_at_a_turn_a_second() -> None:
    gates = load_gates(["first_audio_due.p95 < 300ms", "errors.rate <= 1%"])
    cost = level_cost(gates, 1.0, first_s=10, block_s=30, longest_s=600, error=0.05)
    assert [gate.fixed_n for gate in cost.gates] == [59, 299]
    assert 410 < cost.turns_to_decide < 500
    assert 7 <= cost.seconds_to_decide / 60 <= 8.5
    assert cost.can_decide
    assert cost.blocks == 20


def test_a_level_that_is_too_short_cannot_decide() -> None:
    gates = load_gates(["errors.rate <= 1%"])
    cost = level_cost(gates, 0.5, first_s=10, block_s=30, longest_s=600, error=0.05)
    assert not cost.can_decide
    assert cost.turns == 300
    quick = load_gates(["errors.rate <= 1%"], quick=True)
    assert level_cost(quick, 0.5, first_s=10, block_s=30, longest_s=600, error=0.05).can_decide


@pytest.mark.parametrize("rate", [0.0, 1000.0])
def test_the_extremes(rate: float) -> None:
    gates = load_gates(["errors.rate <= 1%"])
    cost = level_cost(gates, rate, first_s=10, block_s=30, longest_s=600, error=0.05)
    assert cost.can_decide is (rate > 0)
    assert cost.as_dict()["turns_to_decide"] == cost.turns_to_decide
    if rate:
        assert cost.seconds_to_decide == 240  # eight blocks, however many turns


def test_without_gates_nothing_has_to_be_decided() -> None:
    cost = level_cost((), 1.0, first_s=10, block_s=30, longest_s=60, error=0.05)
    assert (cost.turns_to_decide, cost.seconds_to_decide, cost.can_decide) == (0, 0.0, True)


# Callers who speak.

SCRIPT = mix_of_script(["line", "line", "line", "noise"])


def spoken(text: str, mix: TurnMix = SCRIPT) -> int:
    cost = level_cost(
        load_gates([text]), 1.0, first_s=10, block_s=30, longest_s=600, error=0.05, mix=mix
    )
    return cost.gates[0].fixed_n


def test_a_gate_counts_the_steps_of_its_kind() -> None:
    assert spoken("errors.rate <= 5%") == 59
    assert spoken("client_lag.p95 < 5ms") == 79
    assert spoken("missed.rate <= 5%") == 79  # three of four steps ask for an answer
    assert spoken("false_stop.rate <= 5%") == 236
    assert spoken("setup.p95 < 1s") == 236  # once a call of four


@pytest.mark.parametrize(
    ("text", "mix", "why"),
    [
        ("stop.p90 < 300ms", SCRIPT, "the script has no interruption"),
        ("false_stop.rate <= 5%", mix_of_script(["line"]), "the script has no noise"),
        ("stall_count.within(0) >= 99%", SCRIPT, "callers who speak do not show it"),
        ("cut_in.rate <= 5%", TurnMix(), "only callers who speak show it"),
        ("response.p95 < 800ms", TurnMix(), "only callers who speak show it"),
    ],
)
def test_a_gate_that_no_turn_shows_is_refused(text: str, mix: TurnMix, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        spoken(text, mix)


# Callers who interrupt.


def interrupted(text: str, cut_share: float) -> GateCost:
    gates = load_gates([text])
    cost = level_cost(
        gates, 1.0, first_s=10, block_s=30, longest_s=600, error=0.05, mix=TurnMix(cut_share)
    )
    return cost.gates[0]


def test_a_gate_needs_as_many_turns_more_as_do_not_count_for_it() -> None:
    assert interrupted("stall_count.within(0) >= 95%", 0.5).fixed_n == 118
    assert interrupted("first_audio_due.p95 < 1s", 0.5).fixed_n == 59
    assert interrupted("errors.rate <= 5%", 0.5).fixed_n == 59
    assert interrupted("stop.p95 < 1s", 0.25).fixed_n == 236
    assert interrupted("good.rate >= 95%", 0.75).fixed_n == 236


@pytest.mark.parametrize(
    ("text", "cut_share"), [("stop.p95 < 1s", 0.0), ("stall_count.within(0) >= 95%", 1.0)]
)
def test_a_gate_for_which_no_turn_counts_is_refused(text: str, cut_share: float) -> None:
    with pytest.raises(UsageError, match="no turn counts for gate"):
        interrupted(text, cut_share)
