"""What a figure is called, which way it is better, and what bounds it."""

from __future__ import annotations

import pytest
from drawn_turns import failed_turn, turn_with_first_audio

from voicebench.errors import UsageError
from voicebench.figures.figure import parse_figure, read_change
from voicebench.figures.metrics import METRICS
from voicebench.figures.summary import Distribution, Summary, summarize


@pytest.mark.parametrize(
    "name",
    ["first_audio.p95", "llm_total.mean", "first_audio.under(300ms)", "errors.rate", "audio_s.p50"],
)
def test_a_figure_is_called_as_it_is_written(name: str) -> None:
    assert parse_figure(name).name == name


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("first_audio.p95", "lower"),
        ("llm_tokens_per_s.mean", "higher"),
        ("first_audio.under(300ms)", "higher"),
        ("errors.rate", "lower"),
        ("llm_tokens_per_s.stdev", "lower"),
        ("audio_s.mean", "neither"),
    ],
)
def test_each_figure_knows_which_way_is_better(name: str, better: str) -> None:
    assert parse_figure(name).better == better


@pytest.mark.parametrize(
    ("written", "share"),
    [
        *(("10%", 0.1), (" 10 % ", 0.1), ("0.1", 0.1), (0.1, 0.1), ("150%", 1.5), ("0.5%", 0.005)),
        *((0, 0), ("0", 0), ("0%", 0), (0.999, 0.999), ("0.2500", 0.25)),
    ],
)
def test_a_change_is_a_percentage_or_a_number_below_one(written: str | float, share: float) -> None:
    assert read_change(written, "it") == pytest.approx(share)


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("10", "it could mean 10 % or 1000 %; write '10%' or '0.1'"),
        (10, "it could mean 10 % or 1000 %; write '10%' or '0.1'"),
        ("1", "it could mean 1 % or 100 %; write '1%' or '0.01'"),
        (1.0, "it could mean 1 % or 100 %; write '1%' or '0.01'"),
        ("2.5", "it could mean 2.5 % or 250 %; write '2.5%' or '0.025'"),
        *(
            (text, "it is not a limit on a change; write '10%' or '0.1'")
            for text in ("", "%", "10ms")
        ),
        *((odd, "it is not a limit on a change; write '10%' or '0.1'") for odd in (-0.1, "-10%")),
        *((odd, "it is not a limit") for odd in (float("nan"), float("inf"), "1e-1")),
    ],
)
def test_a_change_that_could_mean_two_things_is_refused(
    written: str | float, sentence: str
) -> None:
    with pytest.raises(UsageError) as refused:
        read_change(written, "it")
    assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("first_audio", "is not 'metric.statistic'"),
        ("first_adio.p95", "did you mean 'first_audio'?"),
        ("first_audio.p100", "unknown statistic 'p100'"),
        ("errors.mean", "use rate"),
    ],
)
def test_what_is_no_figure_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=r"figure") as refused:
        parse_figure(text)
    assert sentence in str(refused.value)


def test_a_failed_turn_is_not_under_the_limit_and_widens_nothing_else() -> None:
    turns = [turn_with_first_audio(100) for _ in range(9)]
    summary = summarize([*turns, failed_turn()])
    under = parse_figure("first_audio.under(300ms)").interval(summary)
    assert under is not None
    assert under.high is not None
    assert under.high < 1
    mean = parse_figure("first_audio.mean").interval(summary)
    assert mean is not None
    assert (mean.low, mean.high) == (100, 100)


@pytest.mark.parametrize("name", ["first_audio.max", "first_audio.min", "llm_total.mean"])
def test_an_extreme_and_what_nobody_saw_have_no_interval(name: str) -> None:
    assert parse_figure(name).interval(summarize([turn_with_first_audio(1)] * 9)) is None


def summary_of(metric: str, *values: float) -> Summary:
    found = {one.name: Distribution((), len(values)) for one in METRICS}
    return Summary(len(values), 0, found | {metric: Distribution(values, 0)})


def test_what_cannot_be_negative_has_no_negative_interval() -> None:
    """Two turns of 120 and 500 ms: the mean may be off by more than it is."""
    interval = parse_figure("first_audio.mean").interval(summary_of("first_audio_ms", 120.0, 500.0))
    assert interval is not None
    assert interval.low == 0
    assert interval.high is not None
    assert interval.high > 500


@pytest.mark.parametrize("metric", ["transport_ms", "unattributed_ms", "transport_llm_ms"])
def test_a_difference_may_be_negative(metric: str) -> None:
    figure = parse_figure(f"{metric.removesuffix('_ms')}.mean")
    interval = figure.interval(summary_of(metric, -10.0, 30.0))
    assert interval is not None
    assert interval.low is not None
    assert interval.low < 0


def test_the_mean_of_yes_and_no_is_a_share_between_0_and_1() -> None:
    figure = parse_figure("connection_reused.mean")
    interval = figure.interval(summary_of("connection_reused", 1.0, 1.0, 0.0))
    assert interval is not None
    assert 0 < (interval.low or 0.0) < 2 / 3 < (interval.high or 0.0) < 1
