"""Two runs side by side: what may be compared, what pairs up, and what a difference shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from drawn_turns import failed_turn, turn_with_first_audio

from voicebench.errors import UsageError
from voicebench.figures.columns import columns_of
from voicebench.figures.comparison import (
    Outcome,
    Side,
    chosen_figure,
    compare,
    default_figures,
    side_of,
)
from voicebench.figures.figure import Figure
from voicebench.figures.summary import summarize
from voicebench.judging.comparability import comparability, other_series
from voicebench.turn.timeline import Timeline

MEAN, MEDIAN, P95 = (chosen_figure(f"first_audio.{name}") for name in ("mean", "p50", "p95"))


def turns_with(values: Sequence[float], prompts: Sequence[str] | None = None) -> list[Timeline]:
    named = prompts or [f"prompt {index}" for index in range(len(values))]
    return [
        replace(turn_with_first_audio(value), prompt=prompt)
        for value, prompt in zip(values, named, strict=True)
    ]


def side(turns: Sequence[Timeline], settings: Mapping[str, object] | None = None) -> Side:
    return side_of(columns_of(turns), settings or {}, {})


def noisy(middle: float, seed: int, n: int = 30) -> list[float]:
    return [float(value) for value in np.random.default_rng(seed).normal(middle, 15, n)]


def test_columns_give_the_summary_of_the_turns() -> None:
    turns = [*turns_with([100, 200]), failed_turn(), turn_with_first_audio(1, phase="cold")]
    assert columns_of(turns).summary() == summarize(turns)


@pytest.mark.parametrize("figure", [MEAN, MEDIAN], ids=["mean", "median"])
@pytest.mark.parametrize(
    ("now", "outcome"),
    [(360, Outcome.WORSE), (240, Outcome.BETTER), (300, Outcome.NONE_SHOWN)],
)
def test_a_difference_is_named_where_it_shows(figure: Figure, now: float, outcome: Outcome) -> None:
    [compared] = compare([figure], side(turns_with(noisy(300, 1))), side(turns_with(noisy(now, 2))))
    assert compared.outcome is outcome


def test_a_p95_of_thirty_turns_is_too_few_to_compare() -> None:
    [compared] = compare([P95], side(turns_with(noisy(300, 1))), side(turns_with(noisy(310, 2))))
    assert compared.outcome is Outcome.TOO_FEW


def test_a_metric_that_one_run_does_not_show_is_not_measured() -> None:
    figure = chosen_figure("llm_ttft")
    [compared] = compare([figure], side(turns_with([1, 2])), side(turns_with([1, 2])))
    assert compared.outcome is Outcome.NOT_MEASURED


def test_turns_pair_up_by_their_prompts_in_any_order() -> None:
    values = [float(value) for value in range(100, 800, 20)]
    prompts = [f"prompt {index}" for index in range(len(values))]
    later = side(turns_with([value + 5 for value in values[::-1]], prompts[::-1]))
    [compared] = compare([MEAN], side(turns_with(values, prompts)), later)
    assert compared.difference is not None
    assert compared.difference.pairs == 35
    assert compared.difference.change == pytest.approx(5)
    assert compared.outcome is Outcome.WORSE


def test_other_prompts_are_not_paired() -> None:
    first = side(turns_with(noisy(300, 1), [f"a {index}" for index in range(30)]))
    [compared] = compare([MEAN], first, side(turns_with(noisy(300, 2))))
    assert compared.difference is not None
    assert compared.difference.pairs is None


def test_a_failed_turn_leaves_its_pair_out() -> None:
    broken = [*turns_with(noisy(300, 1, 29)), replace(failed_turn(), prompt="prompt 29")]
    [compared] = compare([MEAN], side(broken), side(turns_with(noisy(300, 2))))
    assert compared.difference is not None
    assert compared.difference.pairs == 29


def test_what_computes_an_engine_is_warned_of_where_the_machine_chose_it() -> None:
    here, there = (
        replace(
            side(turns_with(noisy(300, 1))),
            environment={"target": {"tts": {"device": "cpu", "kernels": kernels}}},
        )
        for kernels in ("native", "torch")
    )
    warned = [str(found) for found in comparability(here, there).warned]
    assert warned == ["target.tts.kernels: native → torch"]


def test_more_failures_are_worse() -> None:
    figure = chosen_figure("errors")
    fine = turns_with(noisy(300, 1))
    [compared] = compare([figure], side(fine), side([*fine[:15], *[failed_turn()] * 15]))
    assert compared.outcome is Outcome.WORSE


def test_settings_that_change_a_meaning_are_refused_and_others_shown() -> None:
    first = {"audible": {"threshold": 0.01}, "chunker": {"first_words": 3}, "run": {"name": "a"}}
    second = {"audible": {"threshold": 0.02}, "chunker": {"first_words": 2}, "run": {"name": "b"}}
    turns = turns_with([1, 2])
    found = comparability(side(turns, first), side(turns, second))
    assert found.refused == ("audible.threshold: 0.01 → 0.02",)
    assert [str(one) for one in found.shown] == ["chunker.first_words: 3 → 2"]


def test_a_turn_that_includes_connecting_is_not_held_against_one_that_does_not() -> None:
    warm, cold = ({"wire": {"cold_connection": value, "http2": value}} for value in (False, True))
    found = comparability(side(turns_with([1, 2]), warm), side(turns_with([1, 2]), cold))
    assert found.refused == ("wire.cold_connection: False → True",)
    assert [one.key for one in found.shown] == ["wire.http2"]


def test_a_line_goes_through_runs_of_one_target_on_the_same_prompts() -> None:
    def run(target: str, words: int, prompt: str = "a") -> Side:
        settings = {"run": {"target": target}, "chunker": {"first_words": words}}
        return side(turns_with([1, 2], [prompt, prompt]), settings)

    assert other_series(run("cascade", 3), run("cascade", 2)) == []
    assert other_series(run("cascade", 3), run("voice", 3)) == ["run.target: cascade → voice"]
    assert other_series(run("voice", 3), run("voice", 3, "b")) == ["prompts: 0 % in common"]


def test_other_prompts_are_refused_and_another_machine_warned_of() -> None:
    first = side_of(columns_of(turns_with([1, 2], ["a", "b"])), {}, {"cpu": "old", "cores": 2})
    second = side_of(columns_of(turns_with([1, 2], ["c", "d"])), {}, {"cpu": "new", "cores": 2})
    found = comparability(first, second)
    assert found.refused == ("prompts: 0 % in common",)
    assert [str(one) for one in found.warned] == ["cpu: old → new"]


def test_by_default_every_metric_that_both_show_is_compared_by_its_median() -> None:
    summary = summarize(turns_with([1, 2]))
    names = [figure.name for figure in default_figures(summary, summary)]
    assert "first_audio.p50" in names
    assert "llm_ttft.p50" not in names
    assert names[-1] == "errors.rate"


def test_an_unknown_metric_is_refused_with_a_guess() -> None:
    with pytest.raises(UsageError, match="did you mean 'first_audio'"):
        chosen_figure("first_adio")
