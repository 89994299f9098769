"""The first screen of a page: its answers are the verdict, the comparison and the advice below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from drawn_turns import turn_with_first_audio
from handmade import failed_turn, sprint_turns
from recorded_folders import made_run, write_json, write_result

from voicebench.figures.summary import summarize
from voicebench.judging.final import Word
from voicebench.report.compared_runs import compared_runs
from voicebench.report.html.answers import WORDS, run_answers
from voicebench.report.html.parts import PageAnswer
from voicebench.report.html.two_runs import comparison_answers
from voicebench.results.run import RecordedRun, read_run

PASSING = ("first_audio.p50 < 400ms",)


def by_question(answers: Sequence[PageAnswer]) -> Mapping[str, PageAnswer]:
    return {answer.question.split()[0]: answer for answer in answers}


def run_of(*first_audio: float, gates: Sequence[str] = PASSING, name: str = "made") -> RecordedRun:
    return made_run([turn_with_first_audio(ms) for ms in first_audio], gates=gates, name=name)


def test_only_a_pass_is_a_yes() -> None:
    assert [word for word, said in WORDS.items() if said.startswith("Yes")] == [Word.PASS]
    answer = by_question(run_answers(run_of(*[300] * 20)))["Fast"]
    assert (answer.word, answer.css) == ("Yes", "good")
    assert answer.because == ["first_audio.p50 < 400ms: 300 ms (95 %: 300 to 300)"]


@pytest.mark.parametrize(
    ("run", "word"),
    [
        (run_of(*[900] * 20), "No"),
        (run_of(*[410] * 20), "No, but close"),
        (run_of(*[300] * 20, gates=()), "Not judged"),
        (made_run(sprint_turns(), planned=20, complete=False), "No verdict"),
        (made_run([failed_turn(1), failed_turn(2)]), "No verdict"),
        (run_of(*[300] * 20, gates=("server.p50 < 1s",)), "Not shown: not measured"),
    ],
    ids=["fails", "close", "no gate", "interrupted", "all failed", "not shown"],
)
def test_what_is_no_pass_is_never_a_yes(run: RecordedRun, word: str) -> None:
    answer = by_question(run_answers(run))["Fast"]
    assert answer.word == word
    assert "good" not in answer.css
    assert answer.because


def test_an_interrupted_run_is_to_be_measured_again() -> None:
    run = made_run(sprint_turns(), planned=20, complete=False)
    answer = run_answers(run)[-1]
    assert answer.word == "Measure again"
    assert answer.because == ["interrupted after 8 of 20 turns"]


def test_the_gravest_gates_come_first_and_the_rest_is_counted() -> None:
    gates = [f"first_audio.p{q} < {limit}ms" for q, limit in ((50, 290), (60, 10), (70, 10))]
    gates += ["first_audio.p80 < 10ms", "first_audio.p90 < 900ms"]
    answer = by_question(run_answers(run_of(*[300] * 20, gates=gates)))["Fast"]
    assert [line.split()[0] for line in answer.because] == [
        *("first_audio.p60", "first_audio.p70", "first_audio.p80"),
        "and",
    ]
    assert answer.because[-1] == "and 1 other gate"


def test_the_next_step_is_the_first_advice_with_its_finding() -> None:
    run = made_run(sprint_turns())
    answer = run_answers(run)[-1]
    assert (answer.word, *answer.because) == (run.advice[0].remedy, run.advice[0].finding)
    assert answer.anchor == "advice"


def test_the_run_before_is_told_as_no_verdict() -> None:
    run = made_run(sprint_turns(), previous=summarize(sprint_turns()))
    answer = by_question(run_answers(run))["What"]
    changed = run_answers(run)[1]
    assert answer.question.startswith("What")
    assert changed.word == "Since the run before: all maintained"
    assert "so this is no verdict" in changed.because[-1]
    assert changed.css == ""


def test_a_missed_baseline_is_red_and_an_invalid_run_is_not_green() -> None:
    entry = {"figure": "first_audio.p50", "first": 200, "second": 300, "allowed": 0.1}
    missed = {"baseline": "results/old", "regressions": [{**entry, "verdict": "FAIL"}]}
    run = made_run([turn_with_first_audio(300)] * 20, gates=PASSING, judgement=missed)
    answer = run_answers(run)[1]
    assert (answer.word, answer.css) == ("0 of 1 figure kept the baseline", "bad")
    assert by_question(run_answers(run))["Fast"].word == "No"
    kept = {"baseline": "b", "regressions": [{**entry, "verdict": "PASS"}], "invalid": True}
    run = made_run([turn_with_first_audio(300)] * 20, gates=PASSING, judgement=kept)
    assert run_answers(run)[1].css == "unsure"
    assert by_question(run_answers(run))["Fast"].word == "No verdict"


def is_better(first: RecordedRun, second: RecordedRun, *, anyway: bool = False) -> PageAnswer:
    return comparison_answers(compared_runs(first, second, anyway=anyway))[0]


FAST = run_of(*(300 + step for step in range(20)))
SLOW = run_of(*(500 + step for step in range(20)))


def test_b_is_better_only_where_the_interval_shows_it() -> None:
    better, worse, same = is_better(SLOW, FAST), is_better(FAST, SLOW), is_better(FAST, FAST)
    assert (better.word, better.css) == ("Yes: first_audio.p50 is better", "good")
    assert (worse.word, worse.css) == ("No: first_audio.p50 is worse", "bad")
    assert (same.word, same.css) == ("No difference of first_audio.p50 is shown", "")
    assert better.because[0].startswith("first_audio.p50: 510 ms → 310 ms, -200 ms (95 % interval")
    few = is_better(run_of(300, 310), run_of(200, 210))
    assert few.word == "Too few turns to tell by first_audio.p50"
    assert few.css == "unsure"


def test_a_better_wait_with_something_worse_is_not_all_green() -> None:
    stalling = made_run(
        [turn_with_first_audio(300 + step) for step in range(20)], gates=PASSING, name="b"
    )
    failing = made_run(
        [turn_with_first_audio(200 + step) for step in range(20)] + [failed_turn(21)] * 20,
        gates=PASSING,
        name="c",
    )
    answer = is_better(stalling, failing)
    assert answer.word == "Yes: first_audio.p50 is better"
    assert answer.css == "near"
    assert "worse: errors.rate" in answer.because


def test_a_run_that_may_not_be_judged_is_not_better() -> None:
    broken = made_run([turn_with_first_audio(200)] * 8, planned=20, complete=False)
    answer = is_better(SLOW, broken)
    assert (answer.word, answer.css) == ("May not be judged", "unsure")
    assert answer.because == ["B is INTERRUPTED: after 8 of 20 turns"]


def test_runs_with_other_meanings_are_not_compared(tmp_path: Path) -> None:
    folders = []
    for name, level in (("a", 0.01), ("b", 0.05)):
        folder = write_result(tmp_path, sprint_turns(), name=name)
        settings = read_run(folder).settings
        write_json(folder / "settings.json", {**settings, "audible": {"level": level}})
        folders.append(read_run(folder))
    answer = is_better(*folders)
    assert answer.word == "Not compared"
    assert "audible.level: 0.01 → 0.05" in answer.because[0]
    anyway = is_better(*folders, anyway=True)
    assert (anyway.word, anyway.css) == ("May not be judged", "unsure")


def test_too_few_turns_are_answered_by_how_many_it_takes() -> None:
    answer = comparison_answers(compared_runs(run_of(300, 310, 330), run_of(200, 210, 280)))[-1]
    assert answer.word.startswith("Measure about ")
    assert "--runs" in answer.because[0]
