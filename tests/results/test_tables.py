"""The tables for spreadsheets and pandas, and when stored rows stand for very many turns."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TextIO

import pytest
from handmade import failed_turn, make_turn
from recorded_folders import write_result

from voicebench.figures.metrics import METRICS, compute
from voicebench.results import tables
from voicebench.results.csv_rows import cells_of
from voicebench.results.tables import (
    event_lines,
    long_rows,
    stored_rows_stand,
    write_long,
    write_turns,
)
from voicebench.turn.timeline import Timeline

COUNT = tables.FROM_TURNS + 1


def many_turns() -> list[Timeline]:
    turns = [make_turn(audio=((100 + index % 97, 400),)) for index in range(COUNT)]
    turns[7] = failed_turn(reason='=1+1, "quoted"\nand NA')
    return turns


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_result(tmp_path_factory.mktemp("large"), many_turns())


def written(write: Callable[[TextIO, Iterable[Path]], None], folder: Path) -> str:
    file = io.StringIO(newline="")
    write(file, [folder])
    return file.getvalue()


@pytest.mark.slow
def test_stored_rows_stand_for_many_turns_only(tmp_path: Path, large: Path) -> None:
    assert stored_rows_stand(large)
    assert not stored_rows_stand(write_result(tmp_path, many_turns()[:5]))


@pytest.mark.slow
@pytest.mark.parametrize("write", [write_turns, write_long])
def test_stored_rows_give_what_the_turns_give(
    large: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[TextIO, Iterable[Path]], None]
) -> None:
    quick = written(write, large)
    monkeypatch.setattr(tables, "stored_rows_stand", lambda folder: False)
    assert quick == written(write, large)


@pytest.mark.parametrize(
    ("old", "new"),
    [(",100.0,", ",99.0,"), ("turn,phase", "turn,fase"), ("\n2,measured,", "\n2,measured,Well: ")],
)
def test_rows_that_are_not_those_of_the_turns_do_not_stand(
    tmp_path: Path, large: Path, old: str, new: str
) -> None:
    folder = tmp_path / "changed"
    folder.mkdir()
    for name in ("turns.jsonl", "runs.csv"):
        (folder / name).write_bytes((large / name).read_bytes())
    rows = folder / "runs.csv"
    text = rows.read_text(encoding="utf-8")
    assert old in text
    # A row that the sample passes over is `verify`'s to find: change every one.
    rows.write_text(text.replace(old, new), encoding="utf-8")
    assert stored_rows_stand(folder) == (old.startswith("\n2,"))


@pytest.mark.parametrize("change", [lambda text: text[:-40], lambda text: text + "1,measured\n"])
def test_rows_for_fewer_or_more_turns_do_not_stand(
    tmp_path: Path, large: Path, change: Callable[[str], str]
) -> None:
    folder = tmp_path / "changed"
    folder.mkdir()
    (folder / "turns.jsonl").write_bytes((large / "turns.jsonl").read_bytes())
    lines = (large / "runs.csv").read_text(encoding="utf-8")
    (folder / "runs.csv").write_text(change(lines), encoding="utf-8")
    assert not stored_rows_stand(folder)


def test_a_long_row_for_each_metric_that_the_turn_shows() -> None:
    turn = make_turn()
    rows = list(long_rows(cells_of(turn)))
    shown = {name: value for name, value in compute(turn).items() if value is not None}
    assert {row[3]: row[5] for row in rows} == shown
    units = {metric.name: metric.unit for metric in METRICS}
    assert all(row[4] == units[str(row[3])] for row in rows)


def test_events_of_one_stamp_keep_the_order_of_a_turn() -> None:
    turn = make_turn(tokens=((100, "Hi"),), chunks=((100, "Hi"),), audio=((100, 10),))
    assert [line.split(",")[3] for line in event_lines("r", turn).splitlines()] == [
        "turn_started",
        "token",
        "text_chunk",
        "audio",
        "turn_finished",
    ]


def test_text_in_events_is_quoted_as_in_runs_csv(tmp_path: Path) -> None:
    folder = write_result(tmp_path, [make_turn(prompt="=cmd()", tokens=((1, "NA"), (2, " 42")))])
    rows = list(csv.DictReader(io.StringIO(written(tables.write_events, folder))))
    assert [row["text"] for row in rows[:3]] == ["'=cmd()", "'NA", "' 42"]
