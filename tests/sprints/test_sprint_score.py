"""The score card: each aspect by its formula, and what a person entered."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from handmade import failed_turn, make_turn
from made_sprints import invalid, quick_turns, recorded
from outcomes import simulated_turns
from recorded_folders import write_result

from voicebench.errors import UsageError
from voicebench.results.run import RecordedRun, read_run
from voicebench.sprints import measured
from voicebench.sprints.readings import TARGETS, Reading
from voicebench.sprints.score import parse_scores, score_card
from voicebench.sprints.sprint import Score


def card(run: RecordedRun, **by_hand: float) -> dict[str, Score]:
    return {one.aspect: one for one in score_card([run], measured.readings_of([run]), by_hand)}


def test_the_targets_are_those_of_the_sprint_of_reference() -> None:
    assert [(target.name, target.limit_ms) for target in TARGETS] == [
        ("llm_total.mean", 200),
        ("tts_ttfb.p95", 100),
        ("first_audio.p95", 300),
    ]


def test_scores_are_computed_by_their_formulas(tmp_path: Path) -> None:
    script = "sim:ttft=400ms,token=8ms,ttfb=70ms,speed=4x,silence=30ms,words=12"
    turns = [*simulated_turns(script, ["measured"] * 3), failed_turn(4)]
    run = read_run(write_result(tmp_path, turns))
    points = card(run)
    assert points["quality"].points == 7.5
    # llm_total 488 of 200 gives 0, tts_ttfb 70 of 100 gives 10, first_audio 494 of 300 gives 3.5.
    # Three of the four turns succeeded.
    latency = (0 + 10 + 10 * (2 - 494 / 300)) / 3 * 0.75
    assert points["latency"].points == pytest.approx(latency, abs=0.05)
    # No turn of the three stalls, and all three finish their reply before they speak.
    assert points["streaming"].points == pytest.approx(10 * (0.75 + 0.0) / 2, abs=0.05)
    assert points["humanity"].points == pytest.approx(10 * (1200 - 524) / 1000 * 0.75, abs=0.05)
    assert points["connectivity"].points is None


def test_connectivity_counts_what_was_lost_on_the_wire(tmp_path: Path) -> None:
    lost = replace(failed_turn(2), failure=replace(failed_turn().failure, stage="transport"))  # type: ignore[type-var]
    folder = write_result(tmp_path, [make_turn(1), lost, failed_turn(3), make_turn(4)])
    environment = json.loads((folder / "environment.json").read_text())
    environment["target"] = {"target": "voice-socket", "url": "ws://host/v1/voice"}
    (folder / "environment.json").write_text(json.dumps(environment))
    run = read_run(folder)
    readings = measured.readings_of([run])
    score = card(run)["connectivity"]
    assert (score.points, score.why[0].figures) == (7.5, {"good": 3, "of": 4})
    assert readings[-1] == Reading("websocket", "bool", 0.0, kept=2, of=4)


@pytest.mark.parametrize(
    ("target", "over_a_wire", "over_a_socket"),
    [
        ({"target": "cascade", "llm": {"engine": "fast"}, "tts": {}}, False, False),
        ({"target": "simulated"}, False, False),
        ({"target": "voice-socket", "url": "ws://host/v1/voice"}, True, True),
        ({"target": "realtime", "url": "wss://host/v1/realtime"}, True, True),
        ({"llm": {"url": "http://host/v1"}, "tts": {"engine": "vits"}}, True, False),
        ({"llm": {"engine": "fast"}, "tts": {"url": "https://host/v1"}}, True, False),
        ({"llm": {"engine": "fast"}, "tts": {"url": "wss://host/v1"}}, True, True),
        ({"llm": {"url": "http://host/v1"}, "tts": {"url": "ws://host/v1"}}, True, True),
        (None, False, False),
    ],
)
def test_what_ran_over_a_connection_is_seen_in_the_description_of_its_target(
    tmp_path: Path, target: dict[str, object] | None, over_a_wire: bool, over_a_socket: bool
) -> None:
    folder = write_result(tmp_path, [make_turn(1)])
    environment = json.loads((folder / "environment.json").read_text())
    (folder / "environment.json").write_text(json.dumps(environment | {"target": target}))
    run = read_run(folder)
    assert (run.is_over_a_wire, run.is_over_a_socket) == (over_a_wire, over_a_socket)
    found = [reading.name for reading in measured.readings_of([run])]
    assert ("websocket" in found) is over_a_socket


@pytest.mark.parametrize("text", ["humanity", "humanity=11", "humanity=-1", "charm=3", "quality=x"])
def test_a_score_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not an aspect with 0 to 10 points"):
        parse_scores([text])


@pytest.mark.parametrize("gates", [(), ("first_audio.p50 < 1000ms",), ("errors.rate <= 50%",)])
def test_no_gate_of_a_run_moves_its_points(tmp_path: Path, gates: tuple[str, ...]) -> None:
    turns = quick_turns(first_audio_ms=400)
    usual = card(recorded(tmp_path / "usual", turns))
    assert card(recorded(tmp_path / "other", turns, gates=gates)) == usual


def test_a_turn_that_failed_was_not_quick(tmp_path: Path) -> None:
    good, slow = quick_turns(19), quick_turns(1, 3000)
    kept = card(recorded(tmp_path / "kept", [*good, *slow]))["latency"].points
    lost = card(recorded(tmp_path / "lost", [*good, failed_turn(20)]))["latency"].points
    assert kept is not None
    assert lost == 9.5


def test_no_formula_gives_points_to_a_run_that_is_not_judged(tmp_path: Path) -> None:
    for run in (
        invalid(tmp_path / "invalid", quick_turns()),
        recorded(tmp_path / "failed", [failed_turn(number) for number in range(1, 5)]),
        recorded(tmp_path / "warm-up", quick_turns(4, phase="warmup")),
    ):
        points = card(run, humanity=6)
        assert points.pop("humanity") == Score("humanity", 6, by_hand=True)
        assert {score.points for score in points.values()} == {None}
