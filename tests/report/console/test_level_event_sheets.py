"""The tables of interruptions, faults, drift and machines: only where a level has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from load_folders import edit_level, written_load

from voicebench.load.level_document import level_figures
from voicebench.load.recorded.judged_again import RecordedLevel
from voicebench.load.recorded.load_run import LoadRun, read_load_run
from voicebench.report.console.level_event_sheets import event_sheets, fault_sheet
from voicebench.report.console.load_sheets import load_sheets
from voicebench.report.console.style import Sheet
from voicebench.report.exchange.load_reports import load_junit, load_markdown

GATES = ["first_audio_due.p90 < 2s"]


def rows(sheet: Sheet) -> list[dict[str, str]]:
    heads = [column.head.replace("\n", " ") for column in sheet.columns]
    cells = [[cell.plain for cell in column.cells] for column in sheet.columns]
    return [dict(zip(heads, row, strict=True)) for row in zip(*cells, strict=True)]


def sheets_of(run: LoadRun) -> Mapping[str, Sheet]:
    return {sheet.title: sheet for sheet in event_sheets(run.levels)}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> LoadRun:
    return read_load_run(written_load(tmp_path_factory.mktemp("r"), 3))


def test_a_plain_level_has_none_of_them(plain: LoadRun) -> None:
    assert event_sheets(plain.levels) == []


def test_interrupted_turns_are_shown_with_their_stop_and_what_was_wasted(tmp_path: Path) -> None:
    given: dict[str, Any] = {"run.target": "sim:speed=1x,stop=80ms,words=20", "gates": GATES}
    run = read_load_run(written_load(tmp_path, 4, interrupt="40% 800ms", **given))
    (row,) = rows(sheets_of(run)["Interrupted turns"])
    planned = run.levels[0].held.measured.to_be_cut.sum()
    assert (row["load"], row["to be cut"], row["cut"]) == ("4 callers", str(planned), str(planned))
    assert (row["stopped"], row["not seen to stop"]) == (str(planned), "0")
    assert float(row["stop p50, ms"]) <= 80.0
    wasted = run.levels[0].held.measured.values["wasted_audio_s"]
    assert float(row["wasted audio, s"]) == pytest.approx(wasted[wasted > 0].sum(), rel=0.01)
    assert "Interrupted turns" in load_markdown([run])


def test_a_drift_is_shown_and_fails_in_every_form(tmp_path: Path) -> None:
    given: dict[str, Any] = {"run.target": "sim:speed=50x,leak=0.4ms", "gates": GATES}
    run = read_load_run(written_load(tmp_path, 5, soak=True, for_s=480.0, **given))
    (row,) = rows(sheets_of(run)["Drift over the window"])
    assert (row["curve"], row["result"]) == ("first_audio_due_ms", "drifts")
    low, high = (float(end) for end in row["interval"].split("–"))
    assert float(row["allowed"]) < low <= float(row["rise"]) <= high
    assert 'name="drift of first_audio_due_ms"' in load_junit([run])
    assert "<failure" in load_junit([run])
    steady = {**given, "run.target": "sim:speed=50x"}
    run = read_load_run(written_load(tmp_path, 5, soak=True, for_s=480.0, **steady))
    assert rows(sheets_of(run)["Drift over the window"])[0]["result"] == "no drift shown"
    assert "drift of" not in load_junit([run])


def test_turns_with_a_fault_are_counted_apart(plain: LoadRun) -> None:
    level = plain.levels[0]
    marks = level.held.turns.disturbed.copy()
    place = int((level.held.turns.due_s >= level.held.judgement.window.start_s).argmax())
    marks[place : place + 3] = True
    held = replace(level.held, turns=replace(level.held.turns, disturbed=marks))
    document = {**level.document, **level_figures(level.rule, held)}
    sheet = fault_sheet([RecordedLevel(level.stored, document, held, level.rule, {})])
    assert sheet is not None
    (row,) = rows(sheet)
    assert (row["turns with a fault"], row["answered"], row["failed"]) == ("3", "3", "0")
    # Each of them is under way in its second, maybe in two.
    assert 1 <= int(row["seconds with one"]) <= 9


def test_machines_are_shown_with_the_bound_of_their_clocks(tmp_path: Path) -> None:
    folder = written_load(tmp_path, 3)
    clock = {"offset_ms": 2.0, "probe_bound_ms": 0.2, "drift_per_million": 1.5, "bound_ms": 0.31}
    lost = "machine b (2) was lost (RayActorError), and its open turns with it"
    machines = [
        {"machine": "a (1)", "cores": 8, "clock": clock, "memory_mb": 120.0, "lost": None},
        {"machine": "b (2)", "cores": 8, "clock": {**clock, "bound_ms": None}, "lost": lost},
    ]
    edit_level(folder, 0, machines=machines)
    run = read_load_run(folder)
    first, second = rows(sheets_of(run)["Machines"])
    assert (first["clock bound, ms"], first["result"]) == ("0.3", "here to the end")
    assert (second["clock bound, ms"], second["result"]) == ("–", lost)
    assert any(sheet.title == "Machines" for sheet in load_sheets(run))
