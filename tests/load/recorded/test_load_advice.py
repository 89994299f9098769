"""Advice for runs under load: what makes turns bad, and what follows from the shape of a search."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from load_folders import written_capacity, written_load
from loaded_turns import columns, rule, turn

from voicebench.judging.advice_sentences import Advice
from voicebench.load.level import judge_level
from voicebench.load.level_rule import ClientState, Window
from voicebench.load.loaded_turn import FAILED, REFUSED, UNFINISHED
from voicebench.load.recorded.judged_again import RecordedLevel
from voicebench.load.recorded.load_advice import BEFORE_AGAIN, bad_turns, load_advice
from voicebench.load.recorded.load_run import LoadRun, read_load_run

RULE = rule()


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


@pytest.mark.parametrize(
    ("client", "remedy"),
    [
        (ClientState(busiest_core=0.9), "give the client more cores"),
        (ClientState(foreign=0.5), "end the other programs"),
        (ClientState(broken=("a process of the client failed: it ended",)), "hold the load again"),
    ],
)
def test_an_invalid_level_says_what_to_change_first(
    failing: Path, client: ClientState, remedy: str
) -> None:
    run = read_load_run(failing)
    held = run.levels[0].held
    judged = judge_level(held.turns, Window(0, 120), RULE, client=client)
    level = replace(run.levels[0], held=replace(held, judgement=judged))
    [advice] = load_advice(replace(run, replay=replace(run.replay, levels=(level,))))
    assert advice.remedy.startswith(remedy)
    assert judged.reasons[0] in advice.finding


def test_late_turns_and_open_ones_have_a_remedy_too() -> None:
    late = columns([turn(float(n), late_ms=9.0) for n in range(300)])
    still = columns([turn(float(n), outcome="unfinished") for n in range(300)])
    lagging = columns([turn(float(n), client_lag_ms=9.0) for n in range(300)])
    for turns in (late, still, lagging):
        reason = judge_level(turns, Window(0, 300), RULE).reasons[0]
        assert any(sign in reason for sign, _ in BEFORE_AGAIN)


def test_a_level_of_which_no_turn_came_to_its_end_is_to_offer_less(failing: Path) -> None:
    run = read_load_run(failing)
    turns = columns([turn(float(n), outcome="unfinished") for n in range(300)])
    judged = judge_level(turns, Window(0, 300), RULE)
    held = replace(run.levels[0].held, turns=turns, judgement=judged)
    level = replace(run.levels[0], held=held)
    [advice] = load_advice(replace(run, replay=replace(run.replay, levels=(level,))))
    assert advice.finding.startswith("300 turns, and none was answered: 100.0 % of the turns")
    assert advice.remedy.startswith("offer fewer callers")


def test_an_interrupted_run_is_to_be_held_again(failing: Path, tmp_path: Path) -> None:
    copy = tmp_path / failing.name
    copy.mkdir()
    for path in failing.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / "INCOMPLETE").touch()
    [advice] = load_advice(read_load_run(copy))
    assert advice.remedy == "hold the load again"
    assert "interrupted" in advice.finding
