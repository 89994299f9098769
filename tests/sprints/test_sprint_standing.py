"""What a sprint says of its run first: the verdict, why, and what to do; and what it never says."""

from __future__ import annotations

from pathlib import Path

import pytest
from handmade import failed_turn, sprint_turns
from made_sprints import (
    imported,
    interrupted,
    invalid,
    judged,
    of_runs,
    quick_turns,
    recorded,
    stalling_turns,
    with_settings,
)

from voicebench.results.run import RecordedRun
from voicebench.settings import DEFAULT_GATES
from voicebench.sprints.analysis import analyse
from voicebench.sprints.comparing import compare_sprints
from voicebench.sprints.first_lines import advice_lines, conclusion_lines
from voicebench.sprints.sprint import Sprint
from voicebench.sprints.sprint_page import sprint_page
from voicebench.sprints.words import Words

LOOSE = ("llm_total.mean < 1000ms", "tts_ttfb.p95 < 1000ms", "first_audio.p95 < 1000ms")


def first_lines(sprint: Sprint, before: Sprint | None = None, count: int = 10) -> str:
    """Return the first lines below the title."""
    page = sprint_page(sprint, before)
    return "\n".join(page.partition("# Sprint")[2].splitlines()[:count])


def test_a_good_run_says_so_first(tmp_path: Path) -> None:
    sprint = of_runs([recorded(tmp_path, quick_turns())])
    assert "✓ PASS: 4 of 4 gates passed" in first_lines(sprint)
    assert "all 5 targets met" in first_lines(sprint)
    assert advice_lines(sprint) == []


def test_a_sprint_of_an_invalid_run_says_invalid_first_and_judges_nothing(tmp_path: Path) -> None:
    sprint = of_runs([invalid(tmp_path, quick_turns())])
    page = sprint_page(sprint, imported(46))
    assert 'status: "INVALID"' in page
    assert "INVALID" in first_lines(sprint)
    assert "other processes used 81 % of the cores" in first_lines(sprint)
    assert "stop them, or measure on a machine of your own" in first_lines(sprint)
    assert "INVALID" in conclusion_lines(sprint, None)[1]
    assert {one.status for one in compare_sprints(sprint, None)} == {"not judged", "met"}
    assert sprint.total is None
    for claim in (
        "targets met",
        "Targets met",
        "✓ met",
        "improved",
        "inside the target",
        "Score 4",
        "Success rate",
        "✓ pass",
        "est run",
    ):
        assert claim not in page.replace("✓ met |\n\n", ""), claim


def test_an_invalid_run_among_good_ones_leaves_no_claim_on_all(tmp_path: Path) -> None:
    good = recorded(tmp_path, quick_turns(), name="good")
    bad = invalid(tmp_path, quick_turns(), name="bad")
    page = sprint_page(of_runs([good, bad]), None)
    assert 'status: "INVALID"' in page
    assert "targets met" not in page
    assert "bad: ✗ INVALID" in page or "bad: ! INVALID" in page
    assert "good: ✓ PASS" in page


def test_a_sprint_of_an_interrupted_run_says_so_first(tmp_path: Path) -> None:
    sprint = of_runs([with_settings(interrupted(tmp_path, quick_turns(3)), run__runs=12)])
    assert "INTERRUPTED: the run was interrupted after 3 of 12 turns" in first_lines(sprint)
    assert "targets met" not in sprint_page(sprint, None)
    assert sprint.total is None


def test_a_sprint_in_which_every_turn_failed_has_no_points(tmp_path: Path) -> None:
    turns = [failed_turn(number) for number in range(1, 9)]
    sprint = of_runs([recorded(tmp_path, turns)])
    assert "NOTHING MEASURED: 8 measured turns, and every one failed" in first_lines(sprint)
    assert "8 of 8 turns failed in tts: the voice ran out of memory" in first_lines(sprint)
    assert sprint.total is None
    assert "targets met" not in sprint_page(sprint, None)


def test_a_sprint_of_warm_ups_alone_measured_nothing(tmp_path: Path) -> None:
    sprint = of_runs([recorded(tmp_path, quick_turns(4, phase="warmup"))])
    assert "NOTHING MEASURED: no turn was measured" in first_lines(sprint)
    assert "No run was measured." in sprint_page(sprint, None)


def test_a_failed_run_says_fail_first_with_its_advice(tmp_path: Path) -> None:
    sprint = of_runs([recorded(tmp_path, sprint_turns())])
    assert "✗ FAIL: 2 of 4 gates passed" in first_lines(sprint)
    assert "3 of 5 targets met" in first_lines(sprint)
    assert "let both overlap: --overlap" in first_lines(sprint)


def test_a_run_without_gates_is_held_to_the_targets_of_every_sprint(tmp_path: Path) -> None:
    sprint = of_runs([recorded(tmp_path, quick_turns(first_audio_ms=400), gates=())])
    assert "NOT JUDGED: no gate is set" in first_lines(sprint)
    assert "3 of 5 targets met" in first_lines(sprint)


def test_a_run_that_gates_only_its_failures_is_held_to_all_targets(tmp_path: Path) -> None:
    gates = ("errors.rate <= 0",)
    sprint = of_runs([recorded(tmp_path, quick_turns(first_audio_ms=400), gates=gates)])
    assert "✓ PASS: 1 of 1 gates passed" in first_lines(sprint)
    assert "all" not in first_lines(sprint)
    assert "| E2E first audio (p95) | 402 ms (400–402) | < 300 ms | ✗ missed |" in sprint_page(
        sprint, None
    )


def test_loose_gates_make_no_better_sprint(tmp_path: Path) -> None:
    strict = of_runs([recorded(tmp_path / "strict", sprint_turns(), gates=DEFAULT_GATES)])
    loose = of_runs([recorded(tmp_path / "loose", sprint_turns(), gates=LOOSE)])
    assert loose.scores == strict.scores
    assert [one.status for one in compare_sprints(loose, None)] == [
        one.status for one in compare_sprints(strict, None)
    ]
    page = sprint_page(loose, None)
    assert "**Success rate:** 3/8 under 300 ms (37.5 %)" in page
    assert "the run’s own gate is first\\_audio.p95 &lt; 1000ms" in page or (
        "the run’s own gate is first\\_audio.p95 < 1000ms" in page
    )


def test_a_run_that_stalls_is_told_what_to_try(tmp_path: Path) -> None:
    sprint = of_runs([recorded(tmp_path, stalling_turns())])
    assert "16 of 20 turns stall while they play" in first_lines(sprint)
    assert "chunker.first\\_words" in first_lines(sprint)
    found = analyse(sprint, None, Words("en"))
    assert "16 of 20 runs stall while they play." in found.improve
    assert any("more words" in sentence for sentence in found.to_try)


def test_where_turns_stall_no_shorter_first_chunk_is_proposed(tmp_path: Path) -> None:
    proposal = "Begin with a first chunk of 2 instead of 3 words"
    for turns, proposed in ((quick_turns(8, 400), True), (stalling_turns(20, 16), False)):
        slow = [*turns, *quick_turns(4, 400)]
        run = recorded(tmp_path / str(proposed), slow)
        found = analyse(of_runs([run]), None, Words("en"))
        assert any(proposal in sentence for sentence in found.to_try) is proposed


@pytest.mark.parametrize("metric", ["llm_total", "tts_ttfb", "first_audio", "errors"])
def test_whatever_target_is_missed_there_is_something_to_try(tmp_path: Path, metric: str) -> None:
    sprint = of_runs([_missing_only(metric, tmp_path)])
    found = compare_sprints(sprint, None)
    missed = [one.reading.metric for one in found if one.reading.is_met() is False]
    assert missed == [metric]
    assert analyse(sprint, None, Words("en")).to_try


def _missing_only(metric: str, folder: Path) -> RecordedRun:
    from handmade import make_turn

    if metric == "errors":
        return recorded(folder, [*quick_turns(19), failed_turn(20)])
    llm_ms, chunk_ms, audio_ms = {
        "llm_total": (400, 80, 150),
        "tts_ttfb": (150, 80, 280),
        "first_audio": (150, 380, 450),
    }[metric]
    turns = [
        make_turn(
            number,
            tokens=((40, "The"), (50, " weather"), (llm_ms, " is fine.")),
            chunks=((chunk_ms, "The weather is fine."),),
            audio=((audio_ms, 900),),
        )
        for number in range(1, 21)
    ]
    return recorded(folder, turns)


def test_only_so_much_advice_stands_in_the_first_lines(tmp_path: Path) -> None:
    sprint = of_runs([recorded(tmp_path, [*sprint_turns(), *stalling_turns(6, 6), failed_turn(9)])])
    lines = advice_lines(sprint)
    assert len(lines) == 4
    assert lines[-1].startswith("and ")
    assert lines[-1].endswith("more under “What to try next”")


def test_flagged_audio_is_said_in_the_first_lines(tmp_path: Path) -> None:
    flags = [{"run": run, "turn": run, "finding": "noise"} for run in (3, 7)]
    run = judged(tmp_path, quick_turns(), {"flagged": flags})
    assert "the audio of 2 runs is flagged (run 3, 7): noise" in first_lines(of_runs([run]))


def test_the_gravest_result_gives_its_advice_first(tmp_path: Path) -> None:
    good = recorded(tmp_path, quick_turns(8), name="good")
    bad = invalid(tmp_path, quick_turns(8), name="bad")
    lines = advice_lines(of_runs([good, bad]))
    assert lines[0].startswith("bad: other processes used 81 %")
    assert any(line.startswith("good: ") for line in lines)
