"""The sentences that a run is judged by: what they may say, and what they answer."""

from __future__ import annotations

import json

import pytest
from drawn_turns import drawn_turn, failed_turn, turn_with_first_audio
from hypothesis import given
from hypothesis import strategies as st

from voicebench.errors import UsageError
from voicebench.figures.metrics import METRICS, Metric
from voicebench.figures.summary import Summary, summarize
from voicebench.judging.gates import (
    CLOSE_MARGIN,
    GateResult,
    Verdict,
    judge,
    parse_gate,
    worst,
)


def summary_of(*first_audio_ms: float) -> Summary:
    return summarize([turn_with_first_audio(ms) for ms in first_audio_ms])


def verdict(gate: str, summary: Summary) -> Verdict:
    return judge(parse_gate(gate), summary).verdict


# Reading a gate.


def test_a_gate_names_metric_statistic_operator_and_limit() -> None:
    gate = parse_gate("first_audio.p95 < 300ms")
    assert gate.metric is not None
    assert gate.metric.name == "first_audio_ms"
    assert (gate.statistic, gate.argument, gate.operator, gate.limit) == ("p95", None, "<", 300)
    assert gate.unit == "ms"


def test_a_share_under_a_limit_has_two_quantities() -> None:
    gate = parse_gate("first_audio.under(300ms) >= 90%")
    assert (gate.statistic, gate.argument, gate.operator) == ("under", 300, ">=")
    assert gate.limit == pytest.approx(0.9)
    assert gate.unit == "share"


def test_under_leaves_a_turn_at_the_limit_out_and_within_counts_it() -> None:
    summary = summary_of(299.999, 300, 300.001)
    assert judge(parse_gate("first_audio.under(300ms) >= 0%"), summary).observed == 1 / 3
    assert judge(parse_gate("first_audio.within(300ms) >= 0%"), summary).observed == 2 / 3
    figure = parse_gate("first_audio.within(0.3s) >= 90%").figure
    assert (figure.name, figure.unit, figure.better) == (
        *("first_audio.within(300ms)", "share", "higher"),
    )
    interval = figure.interval(summary)
    assert interval is not None
    assert interval.low is not None
    assert interval.low > 0.2  # of two in three; of one in three it is 0.06


def test_the_error_rate_is_a_gate_of_its_own() -> None:
    gate = parse_gate("errors.rate <= 0")
    assert (gate.metric, gate.statistic, gate.operator, gate.limit) == (None, "rate", "<=", 0)
    assert gate.unit == "share"


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_can_be_gated_by_either_of_its_names(metric: Metric) -> None:
    units = {"ms": "ms", "s": "s", "x": "x", "per_s": "/s", "bool": "%", "share": "%"}
    unit = units.get(metric.unit, "")
    for name in (metric.name, metric.short_name):
        assert parse_gate(f"{name}.p50 < 30{unit}").metric is metric


@pytest.mark.parametrize(
    "spelling",
    [
        "first_audio.p95<300ms",
        "  first_audio . p95  <  300 ms ",
        "FIRST_AUDIO.P95 < 300MS",
        "first_audio_ms.p95 < 0.3s",
        "first_audio.p95 < 300.0ms",
    ],
)
def test_spaces_case_and_the_unit_of_a_duration_are_free(spelling: str) -> None:
    gate = parse_gate(spelling)
    assert gate.metric is not None
    assert gate.metric.name == "first_audio_ms"
    assert (gate.statistic, gate.operator) == ("p95", "<")
    assert gate.limit == pytest.approx(300)


def test_the_text_of_a_gate_keeps_the_users_words_in_single_spaces() -> None:
    assert parse_gate(" first_audio.p95   <  300ms ").text == "first_audio.p95 < 300ms"


@pytest.mark.parametrize(
    ("limit", "value"), [("0", 0), ("0.05", 0.05), ("5%", 0.05), ("100%", 1), ("37.5%", 0.375)]
)
def test_a_share_is_a_ratio_or_a_percentage(limit: str, value: float) -> None:
    assert parse_gate(f"errors.rate <= {limit}").limit == pytest.approx(value)


def test_every_turn_may_be_asked_for_as_one_or_as_a_hundred_percent() -> None:
    for limit in ("1", "100%"):
        assert parse_gate(f"first_audio.under(300ms) >= {limit}").allows_no_exception


@pytest.mark.parametrize(
    "statistic", ["mean", "min", "max", "stdev", "p1", "p5", "p50", "p90", "p99", "p99.5", "p99.9"]
)
def test_every_statistic_can_be_named(statistic: str) -> None:
    assert parse_gate(f"first_audio.{statistic} < 300ms").statistic == statistic


# Refusing a gate: one sentence each.


@pytest.mark.parametrize(
    ("gate", "sentence"),
    [
        (
            "first_adio.p95 < 300ms",
            "gate 'first_adio.p95 < 300ms' names an unknown metric 'first_adio'; "
            "did you mean 'first_audio'?",
        ),
        (
            "qwxyz.p95 < 300ms",
            "gate 'qwxyz.p95 < 300ms' names an unknown metric 'qwxyz'; "
            "`voicebench config --metrics` lists them",
        ),
        (
            "error.rate <= 0",
            "gate 'error.rate <= 0' names an unknown metric 'error'; did you mean 'errors'?",
        ),
        (
            "first_audio.average < 300ms",
            "gate 'first_audio.average < 300ms' has an unknown statistic 'average'; "
            "use mean, min, max, stdev, p1 to p99.9, under(limit), within(limit)",
        ),
        (
            "errors.p95 <= 0",
            "gate 'errors.p95 <= 0' has an unknown statistic 'p95'; use rate",
        ),
        (
            "first_audio.p95 < 300",
            "gate 'first_audio.p95 < 300' has a limit '300' of another unit; "
            "write '300ms' or '300s'",
        ),
        (
            "first_audio.p95 < 300 m",
            "gate 'first_audio.p95 < 300 m' has a limit '300 m' of another unit; "
            "write '300ms' or '300s'",
        ),
        (
            "first_audio.under(300) >= 90%",
            "gate 'first_audio.under(300) >= 90%' has a limit '300' of another unit; "
            "write '300ms' or '300s'",
        ),
        (
            "first_audio.under(300ms) >= 90ms",
            "gate 'first_audio.under(300ms) >= 90ms' has a limit '90ms' of another unit; "
            "write '0.9' or '90%'",
        ),
        (
            "errors.rate <= 5",
            "gate 'errors.rate <= 5' has a limit '5', and no share is above 100 %; "
            "write '5%' or '0.05'",
        ),
        (
            "first_audio.under(300ms) >= 90",
            "gate 'first_audio.under(300ms) >= 90' has a limit '90', and no share is above 100 %; "
            "write '90%' or '0.9'",
        ),
        (
            "errors.rate <= 150%",
            "gate 'errors.rate <= 150%' has a limit '150%', and no share is above 100 %",
        ),
        (
            "errors.rate <= 1",
            "gate 'errors.rate <= 1' could mean 1 % or 100 %; write '1%' for one turn in a hundred",
        ),
        (
            "stall_count.max <= 0ms",
            "gate 'stall_count.max <= 0ms' has a limit '0ms' of another unit; write '300'",
        ),
        (
            "first_audio < 300ms",
            "gate 'first_audio < 300ms' is not 'metric.statistic operator limit'; "
            "write for example 'first_audio.p95 < 300ms'",
        ),
        (
            "",
            "gate '' is not 'metric.statistic operator limit'; "
            "write for example 'first_audio.p95 < 300ms'",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(gate: str, sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_gate(gate)
    assert str(refused.value) == sentence
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("statistic", ["p", "p0", "p100", "p0.5", "p99.99", "p95.", "p-1", "mean5"])
def test_a_percentile_outside_p1_to_p99_9_is_refused(statistic: str) -> None:
    with pytest.raises(UsageError):
        parse_gate(f"first_audio.{statistic} < 300ms")


@pytest.mark.parametrize(
    "gate",
    [
        "first_audio.p95 = 300ms",
        "first_audio.p95 == 300ms",
        "first_audio.p95 != 300ms",
        "first_audio.p95 < -1ms",
        "first_audio.p95 < 300ms ms",
        "first_audio.p95 < 300ms and errors.rate <= 0",
        "first_audio.p95 < infms",
        "first_audio.p95 < 1e3ms",
        f"first_audio.p95 < {'9' * 400}ms",
        "first_audio.p95(300ms) < 300ms",
        "first_audio.under >= 90%",
        "first_audio.under() >= 90%",
        "first_audio.within >= 90%",
        "errors.within(1) <= 0",
        "first_audio.rate <= 0",
        "errors.under(1) <= 0",
        "errors.mean <= 0",
        "first_audio.p95 <",
        "< 300ms",
        "first audio.p95 < 300ms",
    ],
)
def test_what_is_no_gate_is_refused(gate: str) -> None:
    with pytest.raises(UsageError):
        parse_gate(gate)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_and_never_breaks(text: str) -> None:
    try:
        gate = parse_gate(text)
    except UsageError:
        return
    assert gate.limit >= 0


# Judging.


@pytest.mark.parametrize(
    ("gate", "expected"),
    [
        ("first_audio.max < 300ms", Verdict.PASS),
        ("first_audio.max < 200ms", Verdict.CLOSE),  # 200 is not less than 200
        ("first_audio.max <= 200ms", Verdict.PASS),
        ("first_audio.max < 170ms", Verdict.CLOSE),  # 200 misses 170 by 17.6 %
        ("first_audio.max < 160ms", Verdict.FAIL),  # 200 misses 160 by 25 %
        ("first_audio.min > 100ms", Verdict.CLOSE),
        ("first_audio.min >= 100ms", Verdict.PASS),
        ("first_audio.min > 120ms", Verdict.CLOSE),  # 100 misses 120 by 16.7 %
        ("first_audio.min > 130ms", Verdict.FAIL),  # 100 misses 130 by 23 %
        ("first_audio.mean < 151ms", Verdict.PASS),
        ("first_audio.p50 < 150ms", Verdict.CLOSE),
    ],
)
def test_a_gate_passes_is_close_or_fails(gate: str, expected: Verdict) -> None:
    assert verdict(gate, summary_of(100, 200)) is expected


def test_close_reaches_a_fifth_of_the_limit_and_no_further() -> None:
    assert CLOSE_MARGIN == 0.20
    assert verdict("first_audio.max < 100ms", summary_of(120)) is Verdict.CLOSE
    assert verdict("first_audio.max < 100ms", summary_of(120.001)) is Verdict.FAIL


def test_a_share_exactly_at_its_limit_is_at_its_limit() -> None:
    nineteen_of_twenty = summary_of(*[100] * 19, 400)
    assert verdict("first_audio.under(300ms) >= 95%", nineteen_of_twenty) is Verdict.PASS
    assert verdict("first_audio.under(300ms) > 95%", nineteen_of_twenty) is Verdict.CLOSE


def test_a_share_that_misses_by_exactly_a_fifth_is_close() -> None:
    eighteen_of_twenty_five = summary_of(*[100] * 18, *[400] * 7)  # 72 %
    assert verdict("first_audio.under(300ms) >= 90%", eighteen_of_twenty_five) is Verdict.CLOSE


def test_nothing_is_close_to_zero() -> None:
    summary = summarize([turn_with_first_audio(100)] * 99 + [failed_turn()])
    assert verdict("errors.rate <= 0", summary) is Verdict.FAIL
    assert verdict("stall_count.max < 0", summary) is Verdict.FAIL


def test_the_observed_figure_stands_in_the_result() -> None:
    result = judge(parse_gate("first_audio.mean < 300ms"), summary_of(100, 200))
    assert result.observed == 150
    assert result.note == ""


def test_a_share_counts_failed_turns_as_not_under_the_limit() -> None:
    summary = summarize([turn_with_first_audio(100)] * 9 + [failed_turn()])
    result = judge(parse_gate("first_audio.under(300ms) >= 90%"), summary)
    assert result.observed == pytest.approx(0.9)
    assert result.verdict is Verdict.PASS
    assert verdict("first_audio.under(300ms) >= 95%", summary) is Verdict.CLOSE


def test_a_gate_on_a_missing_metric_is_not_measured_and_does_not_pass() -> None:
    audio_only = summary_of(100, 110)
    for gate in ("llm_ttft.p50 < 300ms", "llm_ttft.p50 > 0ms", "llm_ttft.under(300ms) >= 0%"):
        result = judge(parse_gate(gate), audio_only)
        assert result.observed is None
        assert result.verdict is Verdict.NOT_MEASURED
        assert result.note == "no turn shows this figure"


def test_a_run_in_which_every_turn_failed_passes_no_gate() -> None:
    summary = summarize([failed_turn()] * 3)
    assert verdict("first_audio.p50 < 300ms", summary) is Verdict.NOT_MEASURED
    assert verdict("first_audio.under(300ms) >= 0%", summary) is Verdict.NOT_MEASURED
    assert verdict("stall_count.max <= 0", summary) is Verdict.NOT_MEASURED
    assert verdict("errors.rate <= 0", summary) is Verdict.FAIL


def test_a_run_without_turns_passes_no_gate() -> None:
    assert verdict("errors.rate <= 0", summarize([])) is Verdict.NOT_MEASURED
    assert verdict("first_audio.p50 < 300ms", summarize([])) is Verdict.NOT_MEASURED


def test_the_deviation_of_one_turn_is_not_measured() -> None:
    assert verdict("first_audio.stdev < 300ms", summary_of(100)) is Verdict.NOT_MEASURED


def test_a_percentile_that_the_turns_cannot_carry_is_judged_by_the_maximum_and_says_so() -> None:
    result = judge(parse_gate("first_audio.p95 < 300ms"), summary_of(100, 110, 120, 130, 400))
    assert result.observed == 400
    assert result.verdict is Verdict.FAIL
    assert result.note == "maximum of 5: too few for p95"


def test_a_percentile_of_a_fraction_is_judged_like_any_other() -> None:
    result = judge(parse_gate("first_audio.p99.5 < 300ms"), summary_of(*range(1, 202)))
    assert result.observed == pytest.approx(200)
    assert result.note == ""


def test_the_error_rate_says_how_many_failed() -> None:
    summary = summarize([turn_with_first_audio(100), failed_turn(), turn_with_first_audio(120)])
    result = judge(parse_gate("errors.rate <= 0"), summary)
    assert result.note == "1 of 3 turns failed"
    assert result.observed == pytest.approx(1 / 3)


def test_warmup_turns_move_no_verdict() -> None:
    turns = [turn_with_first_audio(100), turn_with_first_audio(9000, phase="warmup")]
    assert verdict("first_audio.max < 300ms", summarize(turns)) is Verdict.PASS


def test_a_yes_or_no_metric_can_be_asked_for_its_share() -> None:
    reused = [
        drawn_turn(audio=((100, 10),), connections=((0, True),)),
        drawn_turn(audio=((100, 10),), connections=((9, False),)),
    ]
    assert verdict("connection_reused.mean >= 50%", summarize(reused)) is Verdict.PASS


# All gates together.


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([], Verdict.PASS),
        ([Verdict.PASS, Verdict.PASS], Verdict.PASS),
        ([Verdict.PASS, Verdict.UNDECIDED], Verdict.UNDECIDED),
        ([Verdict.UNDECIDED, Verdict.CLOSE, Verdict.PASS], Verdict.CLOSE),
        ([Verdict.CLOSE, Verdict.NOT_MEASURED], Verdict.NOT_MEASURED),
        ([Verdict.PASS, Verdict.NOT_MEASURED, Verdict.FAIL, Verdict.CLOSE], Verdict.FAIL),
    ],
)
def test_a_run_is_as_good_as_its_worst_gate(verdicts: list[Verdict], expected: Verdict) -> None:
    assert worst(verdicts) is expected


def test_the_entry_of_summary_json_says_what_was_asked_observed_and_decided() -> None:
    entry = judge(parse_gate("first_audio.p50 < 300ms"), summary_of(100, 200)).as_dict()
    assert json.loads(json.dumps(entry, allow_nan=False)) == {
        "gate": "first_audio.p50 < 300ms",
        "observed": 150.0,
        "unit": "ms",
        "limit": 300.0,
        "verdict": "PASS",
        "note": "",
        "interval": {"low": None, "high": None, "level": 0.95},
    }


def test_the_entry_of_a_gate_that_was_not_measured_has_null_and_no_zero() -> None:
    entry = judge(parse_gate("llm_ttft.p50 < 300ms"), summary_of(100)).as_dict()
    assert entry["observed"] is None
    assert entry["verdict"] == "NOT MEASURED"


# Judging by confidence.


def decided(gate: str, summary: Summary) -> GateResult:
    return judge(parse_gate(gate), summary, decide=True)


EIGHTY = tuple(200 + turn for turn in range(80))


@pytest.mark.parametrize(
    ("gate", "verdict"),
    [
        ("first_audio.p50 < 300ms", Verdict.PASS),
        ("first_audio.p50 < 240ms", Verdict.UNDECIDED),
        ("first_audio.p50 < 220ms", Verdict.FAIL),
        ("first_audio.p50 > 220ms", Verdict.PASS),
        ("first_audio.p50 > 300ms", Verdict.FAIL),
        ("first_audio.mean < 300ms", Verdict.PASS),
        ("first_audio.mean < 240ms", Verdict.UNDECIDED),
        ("first_audio.p95 < 300ms", Verdict.PASS),
        ("first_audio.under(240ms) >= 20%", Verdict.PASS),
        ("first_audio.under(240ms) >= 50%", Verdict.UNDECIDED),
        ("first_audio.under(240ms) >= 90%", Verdict.FAIL),
    ],
)
def test_by_confidence_the_whole_interval_has_to_keep_the_limit(
    gate: str, verdict: Verdict
) -> None:
    assert decided(gate, summary_of(*EIGHTY)).verdict is verdict


def test_twenty_turns_can_fail_a_p95_but_not_pass_it() -> None:
    summary = summary_of(*range(200, 220))
    fast_enough = decided("first_audio.p95 < 10s", summary)
    assert fast_enough.verdict is Verdict.UNDECIDED
    assert fast_enough.note == "an interval of p95 needs 72 turns"
    assert fast_enough.interval is not None
    assert fast_enough.interval.high is None
    assert decided("first_audio.p95 < 100ms", summary).verdict is Verdict.FAIL


@pytest.mark.parametrize("gate", ["errors.rate <= 0", "first_audio.under(1s) >= 100%"])
def test_a_gate_without_exceptions_is_judged_by_the_turns_that_were_taken(gate: str) -> None:
    assert decided(gate, summary_of(*EIGHTY)).verdict is Verdict.PASS


def test_a_maximum_is_judged_by_the_turns_that_were_taken() -> None:
    result = decided("first_audio.max < 300ms", summary_of(*EIGHTY))
    assert (result.verdict, result.interval) == (Verdict.PASS, None)


def test_one_turn_decides_no_mean() -> None:
    result = decided("first_audio.mean < 300ms", summary_of(100))
    assert (result.verdict, result.note) == (
        Verdict.UNDECIDED,
        "too few turns for an interval",
    )


def test_the_interval_stands_in_the_result_however_it_is_judged() -> None:
    interval = judge(parse_gate("first_audio.p50 < 300ms"), summary_of(*EIGHTY)).interval
    assert interval is not None
    assert interval.low is not None
    assert interval.high is not None
    assert interval.low < 239.5 < interval.high


def test_a_decision_by_the_mean_of_few_skewed_values_is_doubted_aloud() -> None:
    skewed = summary_of(*[100 + value for value in (0,) * 15 + (20,) * 3 + (160, 220)])
    even = summary_of(*range(100, 120))
    gate = parse_gate("first_audio.mean < 300ms")
    assert "the interval holds in 92 % only" in judge(gate, skewed, decide=True).note
    assert judge(gate, even, decide=True).note == ""
    assert judge(gate, skewed).note == ""


def test_a_standard_deviation_is_judged_by_the_turns_that_were_taken() -> None:
    result = judge(parse_gate("first_audio.stdev < 30ms"), summary_of(100, 110, 120), decide=True)
    assert (result.verdict, result.interval) == (Verdict.PASS, None)
