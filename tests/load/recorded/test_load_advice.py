"""Advice for runs under load: what makes turns bad, and what follows from the shape of a search."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from load_folders import written_capacity, written_load

from voicebench.judging.advice_sentences import Advice
from voicebench.load.loaded_turn import FAILED, REFUSED, UNFINISHED
from voicebench.load.recorded.judged_again import RecordedLevel
from voicebench.load.recorded.load_advice import bad_turns, load_advice
from voicebench.load.recorded.load_run import LoadRun, read_load_run


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written_load(tmp_path_factory.mktemp("r"), 25)


def told(run: LoadRun) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.kind, one.stands_on) for one in load_advice(run)]


def with_outcomes(level: RecordedLevel, code: int) -> RecordedLevel:
    """Return the level as if every second turn had this outcome."""
    held = level.held
    outcome = held.turns.outcome.copy()
    outcome[::2] = code
    return replace(level, held=replace(held, turns=replace(held.turns, outcome=outcome)))


def test_late_turns_of_one_level_lead_to_a_search(failing: Path) -> None:
    run = read_load_run(failing)
    [level] = run.levels
    assert list(bad_turns(run, level)) == ["late or stalled"]
    assert told(run) == [("load: late", ("good.rate", "first_audio_due.p50"))]


@pytest.mark.parametrize(
    ("code", "kind", "figure"),
    [
        (REFUSED, "load: refused", "refused.rate"),
        (FAILED, "load: failed", "errors.rate"),
        (UNFINISHED, "load: unfinished", "unfinished.rate"),
    ],
)
def test_the_commonest_reason_comes_first(failing: Path, code: int, kind: str, figure: str) -> None:
    run = read_load_run(failing)
    level = with_outcomes(run.levels[0], code)
    found = told(replace(run, replay=replace(run.replay, levels=(level,))))
    assert found[0] == (kind, ("good.rate", figure))
    assert found[1][0] == "load: late"


def test_a_level_that_holds_gets_no_advice_though_single_turns_are_bad(tmp_path: Path) -> None:
    run = read_load_run(written_load(tmp_path, 5))
    assert bad_turns(run, run.levels[0])
    assert load_advice(run) == ()


def test_a_search_without_an_upper_end_is_to_go_on(tmp_path: Path) -> None:
    [advice] = load_advice(read_load_run(written_capacity(tmp_path, at_least=2)))
    assert isinstance(advice, Advice)
    assert advice.finding == "above 3 callers no level was decided"
    assert advice.stands_on == ("capacity",)


def test_an_interrupted_run_is_to_be_held_again(failing: Path, tmp_path: Path) -> None:
    copy = tmp_path / failing.name
    copy.mkdir()
    for path in failing.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / "INCOMPLETE").touch()
    [advice] = load_advice(read_load_run(copy))
    assert advice.remedy == "hold the load again"
    assert "interrupted" in advice.finding
