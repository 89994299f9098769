"""The judgement: what is invalid, which verdict decides, and how looks share the error."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from drawn_turns import turn_with_first_audio

from voicebench.figures.columns import columns_of
from voicebench.figures.comparison import Side, side_of
from voicebench.figures.summary import summarize
from voicebench.judging.final import Taken, Word
from voicebench.judging.gates import Verdict, worst
from voicebench.judging.judgement import (
    MOST_DIFFERENCES,
    against_baseline,
    judge_gates,
    judgement_entry,
    look_counts,
    planned_turns,
)
from voicebench.judging.noise import Noise
from voicebench.judging.streaming_check import StreamingCheck
from voicebench.judging.validity import Flag
from voicebench.results.judged import Judged
from voicebench.settings import Settings

LOUD = Noise("drift", "it drifts", "stop it", invalidates=True)
QUIET = Noise("outliers", "one is far off", "look at it")


def settings(**judge: object) -> dict[str, object]:
    return Settings.model_validate(
        {"run": {"runs": 20}, "judge": judge, "gates": ["first_audio.p50 < 300ms"]}
    ).model_dump()


def entry(*noise: Noise, allow_noise: bool = False) -> dict[str, object]:
    return judgement_entry(noise, (), StreamingCheck(), allow_noise=allow_noise)


def test_noise_that_invalidates_makes_a_run_invalid_unless_it_is_allowed() -> None:
    assert entry(QUIET, LOUD)["invalid"] is True
    assert entry(QUIET)["invalid"] is False
    assert entry(LOUD, allow_noise=True)["invalid"] is False


def test_a_baseline_whose_numbers_mean_other_things_decides_nothing() -> None:
    refused = {"refused": ["audible.threshold: 0.01 → 0.02"]}
    done = Taken(2, 0, 2, complete=True)
    for baseline, word in (("b", Word.INVALID), (None, Word.PASS)):
        judged = Judged.of({"judgement": {**entry(), **refused, "baseline": baseline}})
        assert judged.final(done, [Verdict.PASS]).word is word


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


def against(
    before: Side, run: Side, gate: str = "first_audio.mean < 1s", **judge: object
) -> dict[str, object]:
    wanted = settings(**judge) | {"gates": [gate]}
    gates = judge_gates(wanted, run.summary)
    return against_baseline(gates, wanted, run, before, "results/before")


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
    assert judged["warnings"] == [
        "differs from the baseline: run.target: sim:ttft=9ms \u2192 sim:ttft=8ms",
        "differs from the baseline: chunker.first_words: 3 \u2192 2",
        "audio_s.mean is not compared: neither way is better",
    ]
    figures = [one.figure for one in Judged.of({"judgement": judged}).regressions]
    assert figures[:2] == ["first_audio.p50", "first_sound.p50"]


def test_many_differences_are_counted() -> None:
    before, now = (
        side(300, 1, llm={f"key{number}": value for number in range(20)}) for value in (1, 2)
    )
    warnings = against(before, now)["warnings"]
    assert isinstance(warnings, list)
    assert len(warnings) == MOST_DIFFERENCES + 1
    assert warnings[-1] == "differs from the baseline: and 8 more settings"


@pytest.mark.parametrize(
    ("judge", "verdict"),
    [({}, Verdict.PASS), ({"decide": True}, Verdict.UNDECIDED),
     ({"until_decided": True}, Verdict.UNDECIDED)],
)  # fmt: skip
def test_sampling_until_decided_implies_by_confidence_for_the_baseline_too(
    judge: dict[str, Any], verdict: Verdict
) -> None:
    found = against(side(300, 1, 150), side(305, 3, 150), **judge)
    [result] = Judged.of({"judgement": found}).regressions
    assert result.verdict is verdict


def test_a_baseline_in_which_nothing_was_compared_is_undecided() -> None:
    judged = Judged.of({"judgement": {**entry(), "baseline": "b"}})
    final = judged.final(Taken(9, 0, 9, complete=True), [])
    assert (final.word, final.nothing_compared) == (Word.UNDECIDED, True)


def test_the_entry_of_the_summary_is_plain_and_is_read_as_it_was_written() -> None:
    import json

    flags = [Flag(5, "it clicks", 3)]
    made = judgement_entry([LOUD, QUIET], flags, StreamingCheck(), allow_noise=False)
    assert json.loads(json.dumps(made)) == made
    judged = Judged.of({"judgement": made})
    assert judged.invalid
    assert [(one.text, one.weight) for one in judged.caveats] == [
        ("it drifts; stop it", "grave"),
        ("one is far off; look at it", "mentioned"),
        ("audio: run 3: it clicks", "doubtful"),
    ]


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
