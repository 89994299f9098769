"""Gates of a level: which are shares of turns, and which turns keep them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from loaded_turns import columns, rule, turn

from voicebench.errors import UsageError
from voicebench.judging.gates import parse_gate
from voicebench.load.load_gate import LOAD_GATES, full_turns, good_marks, load_gate, load_gates
from voicebench.load.loaded_turn import LoadedTurn, Outcome


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


# Turns that the caller interrupts.


def counts(text: str, *turns: LoadedTurn) -> tuple[int, int]:
    """Return how many turns keep the gate, and how many count."""
    gate, found = load_gate(parse_gate(text)), columns(turns, text)
    counted = found.rows(gate.counted(found))
    return int(gate.kept(counted).sum()), counted.n


def to_be_cut(outcome: Outcome, **values: float) -> LoadedTurn:
    made = turn(1.0, outcome=outcome)
    return replace(made, to_be_cut=True, values={**made.values, "stall_count": None, **values})


CUT = to_be_cut("cut", stop_ms=80.0, wasted_audio_s=0.4)
UNSEEN = to_be_cut("cut", wasted_audio_s=0.4)
COMPLETE = to_be_cut("answered", stall_count=0.0, wasted_audio_s=1.0)
BROKEN = to_be_cut("failed")
WHOLE = turn(2.0)


@pytest.mark.parametrize(
    ("text", "kept", "n"),
    [
        ("first_audio_due.p95 < 300ms", 4, 5),
        ("errors.rate <= 1%", 4, 5),
        ("refused.rate <= 1%", 5, 5),
        ("stall_count.within(0) >= 99%", 1, 2),  # the whole turn, and the broken one
        ("stop.p95 < 100ms", 1, 3),  # complete before: there was nothing to stop
        ("wasted_audio_s.p95 < 500ms", 2, 4),
    ],
)
def test_interrupted_turns_count_for_what_they_show(text: str, kept: int, n: int) -> None:
    text = text.replace("500ms", "0.5s") if "wasted" in text else text
    assert counts(text, CUT, UNSEEN, COMPLETE, BROKEN, WHOLE) == (kept, n)


def test_an_interrupting_turn_that_fails_keeps_no_limit_on_its_first_audio() -> None:
    gate = "interrupting_first_audio.p95 < 300ms"
    values = {"interrupting_first_audio_ms": 100.0}
    good = replace(WHOLE, interrupts=True, values={**WHOLE.values, **values})
    failed = replace(turn(3.0, outcome="failed"), interrupts=True)
    assert counts(gate, good, failed, WHOLE) == (1, 2)


# Spoken turns: the steps of a script.


def step(kind: str, outcome: Outcome = "answered", **values: float) -> LoadedTurn:
    made = turn(1.0, outcome=outcome)
    return replace(
        made, interrupts=kind == "interruption", is_noise=kind == "noise", values={**values}
    )


LINE = step("line", missed=0, cut_in=0, response_ms=400)
CUT_IN = step("line", missed=0, cut_in=1, response_ms=-100)
MISSED = step("line", "failed", missed=1)
STOPPED = step("interruption", missed=0, cut_in=0, stopped=1, response_ms=500, stop_ms=200)
TALKED_ON = step("interruption", missed=0, cut_in=0, stopped=0, response_ms=500)
IGNORED, FELL_SILENT = step("noise", false_stop=0), step("noise", false_stop=1)
ENDED_BY_ITSELF = step("noise")  # it shows nothing of the noise
CALL = (LINE, CUT_IN, MISSED, STOPPED, TALKED_ON, IGNORED, FELL_SILENT, ENDED_BY_ITSELF)
BROKEN_OFF = tuple(step(kind, "failed") for kind in ("line", "interruption", "noise"))


@pytest.mark.parametrize(
    ("text", "kept", "n", "broken"),
    [
        ("cut_in.rate <= 5%", 3, 5, 2),  # the line that was missed failed, so it counts
        ("missed.rate <= 5%", 4, 5, 2),
        ("stopped.rate >= 90%", 1, 2, 1),
        ("false_stop.rate <= 5%", 1, 2, 1),
        ("response.p95 < 450ms", 2, 5, 2),
        ("stop.p90 < 300ms", 1, 2, 1),
        ("errors.rate <= 1%", 7, 8, 3),
    ],
)
def test_spoken_turns_count_for_the_gates_of_their_kind(
    text: str, kept: int, n: int, broken: int
) -> None:
    assert counts(text, *CALL) == (kept, n)
    # Of a call that broke off, the steps of these kinds count, and keep nothing.
    assert counts(text, *CALL, *BROKEN_OFF) == (kept, n + broken)


def test_a_rate_of_a_metric_that_is_0_or_1_is_a_share() -> None:
    gates = load_gates(["cut_in.rate <= 5%", "stopped.rate >= 90%"])
    assert [gate.share for gate in gates] == [0.95, 0.9]
    with pytest.raises(UsageError, match="allows no exception"):
        load_gates(["cut_in.rate <= 0"])


def test_only_first_turns_show_the_setup() -> None:
    first, later = turn(1.0), turn(2.0)
    first = replace(first, values={**first.values, "setup_ms": 80.0})
    assert counts("setup.p95 < 100ms", first, later) == (1, 1)


def test_a_turn_that_was_cut_off_is_never_good() -> None:
    gates, turns = load_gates(LOAD_GATES), columns([CUT, COMPLETE, BROKEN, WHOLE], *LOAD_GATES)
    assert good_marks(gates, turns).tolist() == [False, True, False, True]
    assert full_turns(turns).tolist() == [False, False, True, True]
