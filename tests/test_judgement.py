"""The judgement: what is invalid, which verdict decides, and how looks share the error."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn_turns import turn_with_first_audio

from voicebench.columns import columns_of
from voicebench.comparison import Side, side_of
from voicebench.final import Taken, Word
from voicebench.gates import Verdict, worst
from voicebench.judgement import (
    MOST_DIFFERENCES,
    Judgement,
    judge_against,
    judge_gates,
    look_counts,
    planned_turns,
)
from voicebench.noise import Noise
from voicebench.results.judged import Judged
from voicebench.settings import Settings
from voicebench.summary import summarize

LOUD = Noise("drift", "it drifts", "stop it", invalidates=True)
QUIET = Noise("outliers", "one is far off", "look at it")


def settings(**judge: object) -> dict[str, object]:
    return Settings.model_validate(
        {"run": {"runs": 20}, "judge": judge, "gates": ["first_audio.p50 < 300ms"]}
    ).model_dump()


def test_noise_that_invalidates_makes_a_run_invalid_unless_it_is_allowed() -> None:
    assert Judgement(noise=(QUIET, LOUD)).is_invalid
    assert not Judgement(noise=(QUIET,)).is_invalid
    assert not Judgement(noise=(LOUD,), allow_noise=True).is_invalid


def test_a_baseline_whose_numbers_mean_other_things_decides_nothing() -> None:
    assert Judgement(baseline="b", refused=("audible.threshold: 0.01 → 0.02",)).is_incomparable
    assert not Judgement(baseline="b").is_incomparable


@pytest.mark.parametrize(
    ("verdicts", "decides"),
    [
        ([], Verdict.PASS),
        ([Verdict.PASS, Verdict.UNDECIDED], Verdict.UNDECIDED),
        ([Verdict.UNDECIDED, Verdict.FAIL], Verdict.FAIL),
        ([Verdict.CLOSE, Verdict.NOT_MEASURED], Verdict.NOT_MEASURED),
    ],
)
def test_the_worst_verdict_decides(verdicts: list[Verdict], decides: Verdict) -> None:
    assert worst(verdicts) is decides


def test_without_sampling_on_there_is_one_look() -> None:
    assert look_counts(settings()) == [20]
    assert look_counts(settings(max_runs=100)) == [20]


@pytest.mark.parametrize(
    ("max_runs", "counts"),
    [(100, [20, 30, 45, 68, 100]), (20, [20]), (5, [20]), (21, [20, 21])],
)
def test_each_look_comes_after_half_as_many_turns_again(max_runs: int, counts: list[int]) -> None:
    assert look_counts(settings(until_decided=True, max_runs=max_runs)) == counts


def test_looks_share_the_error() -> None:
    summary = summarize([turn_with_first_audio(200 + ms) for ms in range(40)])
    [one] = judge_gates(settings(decide=True), summary)
    [five] = judge_gates(settings(until_decided=True, max_runs=100), summary)
    assert one.interval is not None
    assert five.interval is not None
    assert one.interval.level == 0.95
    assert five.interval.level == pytest.approx(0.99)


def test_stored_settings_are_judged_as_they_asked_and_older_ones_as_they_were() -> None:
    summary = summarize([turn_with_first_audio(ms) for ms in (290, 301, 280, 320, 290, 310)])
    [decided] = judge_gates(settings(decide=True), summary, ["first_audio.p50 < 300ms"])
    [observed] = judge_gates({}, summary, ["first_audio.p50 < 300ms"])
    assert (decided.verdict, observed.verdict) == (Verdict.UNDECIDED, Verdict.PASS)


def against(before: Side, run: Side, gate: str = "first_audio.mean < 1s", **judge: object):
    wanted = settings(**judge) | {"gates": [gate]}
    judged = Judgement(gates=judge_gates(wanted, run.summary))
    return judge_against(judged, wanted, run, before, "results/before")


def side(middle: float, seed: int, spread: float = 20, **settings: object) -> Side:
    values = np.random.default_rng(seed).normal(middle, spread, 20)
    turns = [
        replace(turn_with_first_audio(value), prompt=f"prompt {number}")
        for number, value in enumerate(values)
    ]
    return side_of(columns_of(turns), settings, {"cpu": "old"})


def test_what_differs_from_the_baseline_and_what_is_not_compared_is_said() -> None:
    before = side(300, 1, run={"target": "sim:ttft=9ms"}, chunker={"first_words": 3})
    now = side(300, 2, run={"target": "sim:ttft=8ms"}, chunker={"first_words": 2})
    judged = against(before, now, "audio_s.mean > 0s")
    assert judged.warnings == (
        "differs from the baseline: run.target: sim:ttft=9ms \u2192 sim:ttft=8ms",
        "differs from the baseline: chunker.first_words: 3 \u2192 2",
        "audio_s.mean is not compared: neither way is better",
    )
    assert [one.compared.figure.name for one in judged.regressions][:2] == [
        *("first_audio.p50", "first_sound.p50"),
    ]


def test_many_differences_are_counted() -> None:
    before, now = (
        side(300, 1, llm={f"key{number}": value for number in range(20)}) for value in (1, 2)
    )
    assert len(against(before, now).warnings) == MOST_DIFFERENCES + 1
    assert against(before, now).warnings[-1] == "differs from the baseline: and 8 more settings"


@pytest.mark.parametrize(
    ("judge", "verdict"),
    [({}, Verdict.PASS), ({"decide": True}, Verdict.UNDECIDED),
     ({"until_decided": True}, Verdict.UNDECIDED)],
)  # fmt: skip
def test_sampling_until_decided_implies_by_confidence_for_the_baseline_too(
    judge: dict[str, object], verdict: Verdict
) -> None:
    [result] = against(side(300, 1, 150), side(305, 3, 150), **judge).regressions
    assert result.verdict is verdict


def test_a_baseline_in_which_nothing_was_compared_is_undecided() -> None:
    judged = Judgement(baseline="b")
    final = judged.final(Taken(9, 0, 9, complete=True))
    assert (final.word, final.nothing_compared) == (Word.UNDECIDED, True)
    stored = {"judgement": judged.as_dict(final)}
    assert Judged.of(stored).final(Taken(9, 0, 9, complete=True), []) == final


def test_the_entry_of_the_summary_is_plain() -> None:
    import json

    judgement = Judgement(noise=(LOUD,), baseline="b")
    entry = judgement.as_dict(judgement.final(Taken(2, 0, 2, complete=True)))
    assert json.loads(json.dumps(entry)) == entry
    assert entry["invalid"] is True
    assert entry["verdict"] == "INVALID"


@pytest.mark.parametrize(
    ("stored", "planned"),
    [
        (settings(), 20),
        (settings(until_decided=True, max_runs=100), 100),
        ({"run": {"runs": 12}}, 12),
        ({"run": {}}, None),
        ({}, None),
    ],
)
def test_settings_say_how_many_turns_were_planned(
    stored: dict[str, object], planned: int | None
) -> None:
    assert planned_turns(stored) == planned
