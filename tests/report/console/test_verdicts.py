from __future__ import annotations

import pytest
from handmade import failed_turn, make_turn, sprint_turns
from outcomes import row_of, shown

from voicebench.figures.intervals import Interval
from voicebench.figures.summary import summarize
from voicebench.judging.gates import GateResult, Verdict, judge, parse_gate
from voicebench.report.console.verdicts import kept_by, label, trend, verdict_sheet
from voicebench.settings import DEFAULT_GATES
from voicebench.turn.timeline import Timeline


def table(
    turns: list[Timeline], *gates: str, previous: list[Timeline] | None = None, width: int = 120
) -> str:
    summary = summarize(turns)
    results = [judge(parse_gate(gate), summary) for gate in gates]
    before = None
    if previous:
        earlier = summarize(previous)
        observed = {one.gate.figure.name: judge(one.gate, earlier).observed for one in results}
        before = {name: value for name, value in observed.items() if value is not None}
    return shown(verdict_sheet(results, summary, before), width)


def test_the_sprint_of_reference_reads_as_it_did() -> None:
    text = table(sprint_turns(), *DEFAULT_GATES, previous=sprint_turns())
    assert row_of(text, "E2E latency (mean)") == (
        "E2E latency (mean) llm_total.mean 198 179–216 198 < 200 ms ✓ PASS maintained"
    )
    assert row_of(text, "E2E first audio") == (
        "E2E first audio (max of 8) first_audio.p95 361 ≥ 332 361 < 300 ms ✗ FAIL 3/8 maintained"
    )
    assert row_of(text, "TTS TTFB").startswith(
        "TTS TTFB (max of 8) tts_ttfb.p95 122 ≥ 117 122 < 100 ms"
    )


def test_a_percentile_that_the_turns_cannot_carry_is_called_the_maximum_and_says_so() -> None:
    text = table(sprint_turns(), "first_audio.p95 < 300ms")
    assert "(max of 8)" in text
    assert "p95 needs 20 turns: the maximum of 8 is shown and judged" in text


def test_a_percentile_that_the_turns_carry_keeps_its_name() -> None:
    turns = [make_turn(number) for number in range(1, 21)]
    text = table(turns, "first_audio.p95 < 300ms")
    assert "E2E first audio (p95)" in text
    assert "max of" not in text


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        ("first_audio.max < 400ms", "✓ PASS"),
        ("first_audio.max < 310ms", "≈ CLOSE"),
        ("first_audio.max < 200ms", "✗ FAIL"),
        ("server.p50 < 200ms", "? NOT MEASURED"),
    ],
)
def test_each_verdict_has_its_word_and_its_sign(gate: str, words: str) -> None:
    assert words in table(sprint_turns(), gate)


def test_a_figure_that_no_turn_shows_is_a_dash() -> None:
    assert row_of(table(sprint_turns(), "server.p50 < 3ms"), "Server") == (
        "Server (p50) server.p50 – – – < 3 ms ? NOT MEASURED"
    )


def test_a_share_under_a_limit_and_the_error_rate_are_percent() -> None:
    text = table(
        [*sprint_turns(), failed_turn(9)], "first_audio.under(300ms) >= 90%", "errors.rate <= 5%"
    )
    assert "E2E first audio (under 300 ms)" in text
    assert "33.3" in row_of(text, "E2E first audio")
    row = row_of(text, "Failed turns")
    assert row == "Failed turns errors.rate 11.1 2–43.5 – ≤ 5 % ✗ FAIL 8/9"


def test_a_figure_just_over_its_limit_does_not_read_like_it() -> None:
    text = table([make_turn(audio=((300.2, 500),))], "first_audio.max < 300ms")
    assert "300.2" in text


def test_the_first_run_of_a_name_shows_no_change() -> None:
    text = table(sprint_turns(), *DEFAULT_GATES)
    assert "previous" in text
    assert "since then" not in text


def test_the_change_against_the_previous_run_is_a_word_and_a_figure() -> None:
    faster = [make_turn(number, audio=((200, 500),)) for number in range(1, 9)]
    text = table(faster, "first_audio.p95 < 300ms", previous=sprint_turns())
    assert row_of(text, "E2E first audio").endswith("improved -45 %")
    text = table(sprint_turns(), "first_audio.p95 < 300ms", previous=faster)
    assert row_of(text, "E2E first audio").endswith("regressed +80 %")


@pytest.mark.parametrize(
    ("gate", "before", "now", "word"),
    [
        ("first_audio.p95 < 300ms", 300, 327, "maintained"),
        ("first_audio.p95 < 300ms", 300, 333, "regressed"),
        ("first_audio.p95 < 300ms", 300, 267, "improved"),
        ("synth_speed_x.mean > 2x", 2.0, 3.0, "improved"),
        ("synth_speed_x.mean > 2x", 3.0, 2.0, "regressed"),
        ("stall_count.max <= 0", 0, 1, "regressed"),
        ("errors.rate <= 0", 0.0, 0.0, "maintained"),
        ("errors.rate <= 0", 0.50, 0.49, "improved"),
        ("errors.rate <= 0", 0.0, 0.01, "regressed"),
    ],
)
def test_within_a_tenth_a_figure_is_maintained_and_any_new_failure_is_a_regression(
    gate: str, before: float, now: float, word: str
) -> None:
    parsed = parse_gate(gate)
    lower_is_better, exact = parsed.operator in ("<", "<="), parsed.metric is None
    assert trend(before, now, lower_is_better=lower_is_better, exact=exact) == word


def test_failed_turns_never_keep_a_limit() -> None:
    summary = summarize([make_turn(1), failed_turn(2)])
    assert kept_by(parse_gate("first_audio.max < 300ms"), summary) == (1, 2)
    assert kept_by(parse_gate("errors.rate <= 0"), summary) == (1, 2)
    assert kept_by(parse_gate("first_audio.mean < 300ms"), summary) is None


def made_result(interval: Interval | None, verdict: Verdict, note: str = "") -> str:
    result = GateResult(parse_gate("first_audio.p95 < 300ms"), 299.0, verdict, note, interval)
    turns = [make_turn(number) for number in range(1, 21)]
    return shown(verdict_sheet([result], summarize(turns)), 120)


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (Interval(280, 320), "p95 299 280–320 –"),
        (Interval(280, None), "p95 299 ≥ 280 –"),
        (Interval(None, 320), "p95 299 ≤ 320 –"),
        (Interval(None, None), "p95 299 – –"),
        (None, "p95 299 – –"),
    ],
)
def test_an_end_that_the_turns_cannot_bound_is_left_open(
    interval: Interval | None, text: str
) -> None:
    assert text in row_of(made_result(interval, Verdict.PASS), "E2E first audio")


def test_the_interval_says_of_which_level_it_is() -> None:
    assert "90 %" in made_result(Interval(280, 320, 0.9), Verdict.PASS)


def test_an_undecided_gate_says_why() -> None:
    text = made_result(Interval(280, 320), Verdict.UNDECIDED, "the interval straddles the limit")
    assert "? UNDECIDED" in text
    assert "E2E first audio (p95): the interval straddles the limit" in text


def test_the_columns_that_the_sprint_had_fit_in_80() -> None:
    text = table(sprint_turns(), *DEFAULT_GATES, previous=sprint_turns(), width=80)
    assert "hidden (terminal too narrow): 95 % interval" in text
    for head in ("this", "previous", "target", "status", "pass", "since then"):
        assert head in text


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("llm_total_ms", "E2E latency"),
        ("worst_deficit_ms", "Worst deficit"),
        ("audio_s", "Audio"),
        ("llm_tokens_per_s", "LLM tokens per second"),
    ],
)
def test_every_metric_has_a_name_in_words(metric: str, words: str) -> None:
    assert label(metric) == words
