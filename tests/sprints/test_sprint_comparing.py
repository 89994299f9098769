"""A sprint beside the one before: like with like, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from handmade import failed_turn, sprint_turns
from made_sprints import imported, invalid, of_runs, quick_turns, recorded, with_settings

from voicebench.report.console.verdicts import MAINTAINED_WITHIN
from voicebench.sprints.comparing import Compared, compare_sprints, score_gains
from voicebench.sprints.readings import Reading, status, suite_reading
from voicebench.sprints.sprint import Sprint
from voicebench.sprints.sprint_page import sprint_page

P50 = ("first_audio.p50 < 300ms", "tts_ttfb.p50 < 100ms")


def reading(value: float | None, **more: object) -> Reading:
    return Reading("first_audio.p95", "ms", value, limit=300.0, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        (reading(None), reading(100), "not measured"),
        (reading(250), None, "met"),
        (reading(250), reading(None), "met"),
        (reading(250), reading(250), "maintained"),
        (reading(275), reading(250), "maintained"),
        (reading(276), reading(250), "regressed"),
        (reading(225), reading(250), "maintained"),
        (reading(224), reading(250), "improved"),
        (reading(300, kept=3, of=8), None, "close"),
        (reading(360, kept=3, of=8), None, "close"),
        (reading(361, kept=3, of=8), reading(500), "partly"),
        (reading(361, kept=0, of=8), None, "missed"),
        (reading(361), None, "missed"),
        (reading(100, judged=False), reading(250), "not judged"),
        (suite_reading(5, 5), suite_reading(5, 5), "maintained"),
        (suite_reading(6, 6), suite_reading(5, 5), "improved"),
        (suite_reading(4, 4), suite_reading(5, 5), "regressed"),
        (suite_reading(4, 5), suite_reading(5, 5), "partly"),
        (suite_reading(0, 0), suite_reading(5, 5), "not measured"),
        (Reading("websocket", "bool", 0.0), Reading("websocket", "bool", 1.0), "missed"),
        (Reading("websocket", "bool", 1.0), Reading("websocket", "bool", 0.0), "improved"),
        (Reading("errors.rate", "share", 0.1, limit=0.0, operator="<="), None, "missed"),
        (
            Reading("synth_speed_x.min", "x", 4.0, limit=2.0, operator=">"),
            Reading("synth_speed_x.min", "x", 3.0, limit=2.0, operator=">"),
            "improved",
        ),
    ],
)
def test_a_status_follows_from_the_figures(
    now: Reading, before: Reading | None, expected: str
) -> None:
    assert status(now, before.value if before else None) == expected


def holding(*readings: Reading, number: int = 46) -> Sprint:
    return replace(imported(46), number=number, readings=readings)


def compared(now: Reading, before: Reading) -> Compared:
    (found,) = compare_sprints(holding(now, number=47), holding(before))
    return found


RANGE = Reading("first_audio", "ms", 361.0, low=252.0, high=361.0, limit=300.0)


@pytest.mark.parametrize(
    ("now", "before", "was"),
    [
        (reading(280), reading(300), 300),
        (replace(reading(280), name="first_audio.p50"), reading(300), None),
        (
            replace(reading(280), name="first_audio.p50"),
            reading(300, statistics={"p50": 270.0}),
            270,
        ),
        (reading(280), RANGE, None),
        (replace(reading(280), name="first_audio.p50"), RANGE, None),
        (replace(reading(280), name="first_audio.mean"), RANGE, None),
        (replace(RANGE, value=300.0, high=300.0), RANGE, 361),
        (reading(280, limited=True, count=8), reading(300), None),
        (reading(280, limited=True, count=8), replace(RANGE, count=8), 361),
        (reading(280, limited=True, count=9), replace(RANGE, count=8), None),
        (reading(280, limited=True, count=8), RANGE, None),
        (reading(280), Reading("first_audio", "ms", 290.0), None),
        (Reading("first_audio", "ms", 280.0), Reading("first_audio", "ms", 290.0), 290),
        (reading(280), Reading("first_audio.under(300ms)", "share", 0.9), None),
        (reading(280), reading(300, judged=False), None),
    ],
)
def test_a_figure_is_compared_with_the_same_statistic(
    now: Reading, before: Reading, was: float | None
) -> None:
    found = compared(now, before)
    assert found.was == was
    if was is None:
        assert found.status == "met"
        assert found.why_not is not None or found.before is None


def test_a_median_is_compared_with_the_median_of_the_imported_runs_and_never_with_a_range(
    tmp_path: Path,
) -> None:
    # The runs of sprint 46 have the ends of its first audio (252-361 ms) and the median 301 ms;
    # its TTS TTFB (70-120 ms) is of other runs, of which nothing else is known.
    now = of_runs([recorded(tmp_path, quick_turns(20, 280), gates=P50)])
    found = {one.reading.name: one for one in compare_sprints(now, imported(46))}
    first_audio, ttfb = found["first_audio.p50"], found["tts_ttfb.p50"]
    assert first_audio.was == 301
    assert first_audio.status == "maintained"
    assert ttfb.was is None
    assert ttfb.why_not is not None
    page = sprint_page(now, imported(46))
    assert "| E2E first audio (p50) | 301 ms | 281 ms (280–282) |" in page
    assert "| 70–120 ms, not comparable |" in page
    note = "TTS TTFB (streaming) (p50): not comparable, sprint 46 gives a range, this one p50"
    assert note in page
    assert "The figures of sprint 46 were imported" in page
    assert "(-" not in page


def test_a_percentile_of_too_few_values_is_called_their_maximum(tmp_path: Path) -> None:
    page = sprint_page(of_runs([recorded(tmp_path, sprint_turns())]), None)
    assert "| E2E first audio (max of 8) | 252–361 ms |" in page
    assert "(p95)" not in page


USUAL: dict[str, object] = {
    "run__target": "cascade",
    "llm__url": None,
    "llm__model": "small",
    "audible__threshold": 0.01,
    "wire__cold_connection": False,
}


def sprint_with(folder: Path, number: int, first_audio_ms: float, **changes: object) -> Sprint:
    turns = quick_turns(first_audio_ms=first_audio_ms)
    run = recorded(folder, turns, stamp=f"202601{number}T101500Z")
    return of_runs([with_settings(run, **{**USUAL, **changes})], number)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"run__target": "sim:"}, "run.target: cascade → sim:"),
        ({"llm__url": "http://a/v1"}, "llm.url: – → http://a/v1"),
        ({"audible__threshold": 0.02}, "audible.threshold: 0.01 → 0.02"),
        ({"wire__cold_connection": True}, "wire.cold_connection: False → True"),
    ],
)
def test_another_target_and_other_meanings_are_not_compared(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    before, now = sprint_with(tmp_path, 46, 200), sprint_with(tmp_path, 47, 150, **changes)
    durations = [one for one in compare_sprints(now, before) if one.reading.unit == "ms"]
    assert [one.why_not.figures["differing"] for one in durations if one.why_not] == [said] * 3
    assert {one.status for one in durations} == {"met"}
    assert score_gains(now, before) == {}
    page = sprint_page(now, before)
    assert page.count(", not comparable |") == 3
    assert "sprint 46 measured something else" in page


def test_another_model_of_the_same_assistant_is_compared_and_said(tmp_path: Path) -> None:
    before, now = sprint_with(tmp_path, 46, 200), sprint_with(tmp_path, 47, 150, llm__model="tiny")
    found = {one.reading.name: one for one in compare_sprints(now, before)}
    assert found["first_audio.p95"].status == "improved"
    assert "Sprint 46 ran with other models: llm.model: small → tiny." in sprint_page(now, before)


def test_other_prompts_are_not_compared(tmp_path: Path) -> None:
    first = sprint_with(tmp_path, 46, 200)
    asked = of_runs([recorded(tmp_path / "asked", quick_turns(prompt="Why is the sky blue?"))])
    found = compare_sprints(asked, first)
    assert {one.why_not.key for one in found if one.why_not} == {"why.prompts"}


def test_a_sprint_that_was_not_judged_is_not_compared_with(tmp_path: Path) -> None:
    now = of_runs([recorded(tmp_path / "now", quick_turns())])
    before = of_runs([invalid(tmp_path / "before", quick_turns(first_audio_ms=200))], 46)
    found = compare_sprints(now, before)
    assert {one.status for one in found if one.reading.name != "tests"} == {"met"}
    page = sprint_page(now, before)
    assert "the run of sprint 46 is not judged" in page
    assert "went from" not in page


def test_results_of_one_sprint_are_compared_with_those_of_their_name(tmp_path: Path) -> None:
    def both(number: int, slow_ms: float) -> Sprint:
        stamp = f"202601{number}T101500Z"
        quick = recorded(tmp_path, quick_turns(), name="quick", stamp=stamp)
        slow = recorded(tmp_path, quick_turns(first_audio_ms=slow_ms), name="slow", stamp=stamp)
        return of_runs([slow, quick], number)

    now, before = both(47, 220), both(46, 280)
    found = {(one.reading.result, one.reading.name): one for one in compare_sprints(now, before)}
    assert found["slow", "first_audio.p95"].status == "improved"
    assert found["quick", "first_audio.p95"].status == "maintained"
    assert "| slow: E2E first audio (p95) |" in sprint_page(now, before)


def test_points_by_a_formula_are_not_compared_with_points_by_hand(tmp_path: Path) -> None:
    run = recorded(tmp_path, quick_turns())
    now = of_runs([run], by_hand={"humanity": 8, "connectivity": 9})
    assert score_gains(now, imported(46)) == {"humanity": 2, "connectivity": 0}
    assert score_gains(imported(46), imported(45)) == {
        "quality": 0,
        "latency": 0,
        "streaming": 1,
        "humanity": 1,
        "connectivity": 0,
        "total": 1,
    }


def test_failed_turns_are_compared_whatever_was_measured(tmp_path: Path) -> None:
    before = of_runs([recorded(tmp_path / "1", [*quick_turns(19), failed_turn(20)])], 46)
    later = recorded(tmp_path / "2", quick_turns(), stamp="20260106T101500Z")
    other = with_settings(later, run__target="sim:")
    found = {one.reading.name: one for one in compare_sprints(of_runs([other]), before)}
    assert found["errors.rate"].status == "improved"


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [(464.1, 464.3, "464 ms"), (464.0, 470.0, "464–470 ms"), (None, None, "464 ms")],
)
def test_a_range_within_one_shown_figure_is_one_figure(
    low: float | None, high: float | None, shown: str
) -> None:
    assert reading(high or 464.0, low=low, high=high).text() == shown


def test_a_tenth_is_maintained() -> None:
    assert MAINTAINED_WITHIN == 0.10


def test_a_sprint_of_the_same_run_has_measured_nothing_new(tmp_path: Path) -> None:
    run = recorded(tmp_path, quick_turns())
    now, before = of_runs([run], 47), of_runs([run], 46)
    page = sprint_page(now, before)
    assert score_gains(now, before) == {}
    assert "sprint 46 has the same run: nothing was measured since then" in page
    assert page.count("maintained") == 1  # the tests
