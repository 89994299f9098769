"""What a figure is called, which way it is better, and what bounds it."""

from __future__ import annotations

import pytest
from drawn_turns import failed_turn, turn_with_first_audio

from voicebench.errors import UsageError
from voicebench.figures import parse_figure
from voicebench.summary import summarize


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
