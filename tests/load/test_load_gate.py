"""Gates of a level: which are shares of turns, and which turns keep them."""

from __future__ import annotations

import pytest
from loaded_turns import columns, rule, turn

from voicebench.errors import UsageError
from voicebench.judging.gates import parse_gate
from voicebench.load.load_gate import LOAD_GATES, good_marks, load_gate, load_gates


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("first_audio_due.p95 < 300ms", 0.95),
        ("first_audio_due.p99 <= 1s", 0.99),
        ("synth_speed_x.p5 > 1.5x", 0.95),
        ("first_audio_due.under(300ms) >= 90%", 0.90),
        ("stall_count.within(0) >= 99%", 0.99),
        ("errors.rate <= 1%", 0.99),
        ("refused.rate < 5%", 0.95),
        ("unfinished.rate <= 2%", 0.98),
        ("good.rate >= 95%", 0.95),
        ("good_calls.rate > 90%", 0.90),
    ],
)
def test_a_gate_is_a_share_of_turns(text: str, share: float) -> None:
    assert load_gate(parse_gate(text)).share == pytest.approx(share)


@pytest.mark.parametrize(
    "text",
    [
        "first_audio_due.mean < 300ms",
        "first_audio_due.max < 300ms",
        "first_audio_due.stdev < 30ms",
        "first_audio_due.under(300ms) <= 90%",
        "errors.rate >= 1%",
        "good.rate <= 95%",
    ],
)
def test_what_is_no_share_of_good_turns_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"is not a share of turns.*write for example"):
        load_gate(parse_gate(text))


@pytest.mark.parametrize(
    "text", ["errors.rate <= 0", "first_audio_due.under(1s) >= 100%", "good.rate >= 100%"]
)
def test_a_limit_without_exception_cannot_be_shown(text: str) -> None:
    with pytest.raises(UsageError, match="allows no exception"):
        load_gate(parse_gate(text))


def test_quick_asks_for_95_percent_at_most() -> None:
    assert [gate.share for gate in load_gates(LOAD_GATES)] == pytest.approx([0.95, 0.99, 0.99])
    assert [gate.share for gate in load_gates(LOAD_GATES, quick=True)] == [0.95, 0.95, 0.95]
    assert load_gates(["errors.rate <= 20%"], quick=True)[0].share == 0.8


def test_only_answered_turns_keep_a_limit() -> None:
    gates = ("first_audio_due.p95 < 300ms", "errors.rate <= 1%", "refused.rate <= 1%",
             "unfinished.rate <= 1%")  # fmt: skip
    turns = columns(
        [
            turn(1, 299.9),
            turn(2, 300),
            turn(3, None),
            turn(4, 100, "failed"),
            turn(5, None, "refused"),
            turn(6, None, "unfinished"),
        ],
        *gates,
    )
    kept = [gate.kept(turns).tolist() for gate in rule(*gates).gates]
    assert kept[0] == [True, False, False, False, False, False]
    assert kept[1] == [True, True, True, False, False, False]
    assert kept[2] == [True, True, True, True, False, True]
    assert kept[3] == [True, True, True, True, True, False]
    assert good_marks(rule(*gates).gates, turns).tolist() == [True, *[False] * 5]


def test_the_tail_is_the_worst_part_whatever_the_limit() -> None:
    found = [turn(number, float(number)) for number in range(100)]
    found[7] = turn(7, None, "failed")
    for limit in ("50ms", "9s"):
        [gate] = load_gates([f"first_audio_due.p95 < {limit}"])
        tail = gate.tail(columns(found))
        assert tail is not None
        assert set(tail.nonzero()[0]) == {7, 96, 97, 98, 99}
