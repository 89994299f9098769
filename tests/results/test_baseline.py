"""Baselines: how one is named, what is kept, and what may not be one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from drawn_turns import failed_turn, turn_with_first_audio

from voicebench.errors import ResultsError
from voicebench.results.baseline import find_baseline, read_baseline, set_baseline
from voicebench.results.codec import encode_line
from voicebench.turn.timeline import MachineState, Sound, Timeline

GOOD = [replace(turn_with_first_audio(300), turn=number) for number in range(1, 10)]


THROTTLED = [replace(turn, machine=MachineState(throttled=1)) for turn in GOOD]


def record(
    path: Path,
    turns: Sequence[Timeline] = GOOD,
    name: str = "default",
    **settings: Mapping[str, object],
) -> Path:
    path.mkdir(parents=True)
    settings["run"] = {"name": name, **settings.get("run", {})}
    (path / "settings.json").write_text(json.dumps(settings))
    (path / "environment.json").write_text("{}")
    (path / "turns.jsonl").write_text("".join(f"{encode_line(turn)}\n" for turn in turns))
    return path


def test_a_set_baseline_is_a_copy_that_outlives_its_run(tmp_path: Path) -> None:
    result = record(tmp_path / "20260101T000000Z-default")
    (result / "audio").mkdir()
    copy = set_baseline(result, tmp_path)
    assert copy == tmp_path / "baseline" / "default"
    (result / "turns.jsonl").unlink()
    assert read_baseline("set", tmp_path, "default", {}).columns.turns == 9
    assert not (copy / "audio").exists()


def test_setting_again_replaces_it(tmp_path: Path) -> None:
    set_baseline(record(tmp_path / "20260101T000000Z-default"), tmp_path)
    set_baseline(record(tmp_path / "20260102T000000Z-default", GOOD[:8]), tmp_path)
    assert read_baseline("set", tmp_path, "default", {}).columns.turns == 8
    assert [path.name for path in (tmp_path / "baseline").iterdir()] == ["default"]


def test_the_latest_run_of_the_name_is_found(tmp_path: Path) -> None:
    record(tmp_path / "20260101T000000Z-default")
    wanted = record(tmp_path / "20260102T000000Z-default")
    record(tmp_path / "20260103T000000Z-default-quick", name="default-quick")
    (record(tmp_path / "20260104T000000Z-default") / "INCOMPLETE").touch()
    assert latest(tmp_path) == wanted


def test_a_baseline_is_found_by_its_bare_name(tmp_path: Path) -> None:
    wanted = record(tmp_path / "20260101T000000Z-default")
    assert read_baseline(wanted.name, tmp_path, "default", {}).path == wanted


def latest(results: Path, **settings: object) -> Path:
    return read_baseline("latest", results, "default", settings).path


def test_the_latest_run_of_another_target_or_meaning_is_passed_over(tmp_path: Path) -> None:
    sim = {"target": "sim:ttft=9ms"}
    wanted = record(tmp_path / "20260101T000000Z-default", run=sim)
    record(tmp_path / "20260102T000000Z-default", run={"target": "sim:ttft=8ms"})
    record(tmp_path / "20260103T000000Z-default", run=sim, audible={"threshold": 0.02})
    record(tmp_path / "20260104T000000Z-default", run=sim, wire={"cold_connection": True})
    now = {"run": sim, "audible": {"threshold": 0.01}, "wire": {"cold_connection": False}}
    assert latest(tmp_path, **now) == wanted
    with pytest.raises(ResultsError) as refused:
        latest(tmp_path, run={"target": "cascade"})
    assert str(refused.value) == (
        f"no complete run of 'default' lies in {tmp_path} that can be a baseline; "
        "20260104T000000Z-default measured another target "
        "(run.target: sim:ttft=9ms \u2192 cascade); measure once without --baseline"
    )


def test_the_latest_run_that_may_not_be_a_baseline_is_passed_over(tmp_path: Path) -> None:
    wanted = record(tmp_path / "20260101T000000Z-default")
    record(tmp_path / "20260102T000000Z-default", [*GOOD, replace(failed_turn(), turn=10)])
    record(tmp_path / "20260103T000000Z-default", THROTTLED)
    (record(tmp_path / "20260104T000000Z-default") / "turns.jsonl").write_text("{")
    assert latest(tmp_path) == wanted
    (wanted / "INCOMPLETE").touch()
    with pytest.raises(ResultsError, match="20260104T000000Z-default cannot be a baseline"):
        latest(tmp_path)


def test_a_sprints_run_is_found_where_its_report_names_it(tmp_path: Path) -> None:
    run = record(tmp_path / "20260101T000000Z-default")
    (tmp_path / "sprints").mkdir()
    report = tmp_path / "sprints" / "sprint-046.json"
    named = ["elsewhere/20260101T000000Z-other", "elsewhere/20260101T000000Z-default"]
    report.write_text(json.dumps({"results": named}))
    assert find_baseline("sprint:46", tmp_path, "default") == run
    report.write_text(json.dumps({"results": []}))
    with pytest.raises(ResultsError, match="entered by hand"):
        find_baseline("sprint:46", tmp_path, "default")


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ("latest", "no complete run of 'default'"),
        ("set", "no baseline is set for 'default'"),
        ("sprint:7", "there is no report of sprint 7"),
        ("nowhere", "nowhere is not a run folder"),
    ],
)
def test_a_baseline_that_is_not_there_is_said(tmp_path: Path, wanted: str, sentence: str) -> None:
    with pytest.raises(ResultsError) as refused:
        read_baseline(wanted, tmp_path, "default", {})
    assert sentence in str(refused.value)


def spoil_nothing(_: Path) -> None: ...


def break_off(path: Path) -> None:
    (path / "INCOMPLETE").touch()


def cut_line(path: Path) -> None:
    with (path / "turns.jsonl").open("a") as file:
        file.write('{"schema": 1, "tu')


@pytest.mark.parametrize(
    ("turns", "spoil", "sentence"),
    [
        (GOOD, break_off, "its run was interrupted"),
        (GOOD, cut_line, "its run was interrupted"),
        ([*GOOD, replace(failed_turn(), turn=10)], spoil_nothing, "1 of 10 turns failed"),
        (
            [*GOOD, replace(GOOD[0], turn=10, sound=Sound(1000, 0, 1.0, 0.5, 90))],
            spoil_nothing,
            "its audio is not right (run 10: 90.0 % of its samples are clipped)",
        ),
        (
            THROTTLED,
            spoil_nothing,
            "the processor throttled itself in 9 of 9 turns",
        ),
        (
            [replace(turn_with_first_audio(1, phase="cold"), turn=1)],
            spoil_nothing,
            "it has no measured turn",
        ),
    ],
    ids=["broken off", "cut", "failed", "clipped", "throttled", "none measured"],
)
def test_what_may_not_be_a_baseline_is_refused_with_its_reason(
    tmp_path: Path, turns: Sequence[Timeline], spoil: Callable[[Path], None], sentence: str
) -> None:
    result = record(tmp_path / "20260101T000000Z-default", turns)
    spoil(result)
    with pytest.raises(ResultsError) as refused:
        set_baseline(result, tmp_path)
    assert sentence in str(refused.value)
    assert not (tmp_path / "baseline").exists()


def test_a_noisy_run_is_a_baseline_where_that_is_allowed(tmp_path: Path) -> None:
    noisy = [replace(turn, machine=MachineState(throttled=1)) for turn in GOOD]
    result = record(tmp_path / "20260101T000000Z-default", noisy)
    with pytest.raises(ResultsError, match="--allow-noise accepts it"):
        set_baseline(result, tmp_path)
    kept = set_baseline(result, tmp_path, allow_noise=True)
    assert (kept / "turns.jsonl").is_file()
    failed = record(
        tmp_path / "20260102T000000Z-default", [*noisy, replace(failed_turn(), turn=10)]
    )
    with pytest.raises(ResultsError, match="1 of 10 turns failed"):
        set_baseline(failed, tmp_path, allow_noise=True)


@pytest.mark.parametrize("turns", [THROTTLED, [*GOOD, replace(failed_turn(), turn=10)]])
def test_what_may_not_be_kept_as_a_baseline_may_not_be_named_as_one(
    tmp_path: Path, turns: Sequence[Timeline]
) -> None:
    result = record(tmp_path / "20260101T000000Z-default", turns)
    with pytest.raises(ResultsError, match=r"cannot be a baseline: .*; name another run"):
        read_baseline(str(result), tmp_path, "default", {})


def test_a_run_that_was_allowed_to_be_noisy_may_be_a_baseline(tmp_path: Path) -> None:
    allowed = {"allow_noise": True}
    result = record(tmp_path / "20260101T000000Z-default", THROTTLED, judge=allowed)
    set_baseline(result, tmp_path)
    assert latest(tmp_path) == result


def test_a_noisy_run_that_was_kept_or_is_allowed_now_may_be_named(tmp_path: Path) -> None:
    result = record(tmp_path / "20260101T000000Z-default", THROTTLED)
    set_baseline(result, tmp_path, allow_noise=True)
    assert read_baseline("set", tmp_path, "default", {}).columns.turns == 9
    with pytest.raises(ResultsError, match="cannot be a baseline"):
        latest(tmp_path)
    assert latest(tmp_path, judge={"allow_noise": True}) == result


def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    result = record(tmp_path / "run", name="../../outside")
    with pytest.raises(ResultsError, match="no folder can have"):
        set_baseline(result, tmp_path)


def test_a_baseline_that_was_broken_off_is_refused(tmp_path: Path) -> None:
    result = record(tmp_path / "run")
    break_off(result)
    with pytest.raises(ResultsError, match="is incomplete"):
        read_baseline(str(result), tmp_path, "default", {})
