"""The turns of runs under load as CSV: each with its level and the phase in which it was due."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path

from load_folders import written_load

from voicebench.load.recorded.load_run import read_load_run
from voicebench.load.recorded.turn_tables import (
    LOADED_COLUMN_DOCS,
    write_loaded_long,
    write_loaded_turns,
)


def test_every_turn_has_its_place(tmp_path: Path) -> None:
    folder = written_load(tmp_path, 3)
    file = io.StringIO(newline="")
    write_loaded_turns(file, [folder])
    rows = list(csv.DictReader(io.StringIO(file.getvalue())))
    [level] = read_load_run(folder).levels
    phases = Counter(row["level_phase"] for row in rows)
    counted = level.document["turns"]
    assert isinstance(counted, dict)
    assert phases == {phase: count for phase, count in counted.items() if count}
    assert {row["level"] for row in rows} == {"1"}
    assert {row["caller"] for row in rows} == {"1", "2", "3"}
    assert {row["outcome"] for row in rows} <= {"answered", "unfinished"}
    assert list(rows[0])[-len(LOADED_COLUMN_DOCS) :] == [name for name, _ in LOADED_COLUMN_DOCS]


def test_every_metric_has_its_phase(tmp_path: Path) -> None:
    folder = written_load(tmp_path, 3)
    file = io.StringIO(newline="")
    write_loaded_long(file, [folder])
    rows = list(csv.DictReader(io.StringIO(file.getvalue())))
    measured = [
        row for row in rows
        if row["metric"] == "first_audio_due_ms" and row["level_phase"] == "measured"
    ]  # fmt: skip
    [level] = read_load_run(folder).levels
    assert len(measured) == int(level.held.measured.went_well.sum())
