"""The judgement: what is invalid, which verdict decides, and how looks share the error."""

from __future__ import annotations

import pytest
from drawn_turns import turn_with_first_audio

from voicebench.final import Taken
from voicebench.gates import Verdict, worst
from voicebench.judgement import Judgement, judge_gates, look_counts, planned_turns
from voicebench.noise import Noise
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
