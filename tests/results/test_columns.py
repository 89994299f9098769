"""Run folders as columns: from the turns, from the CSV where it stands for them, refusals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn_turns import drawn_turn, failed_turn, turn_with_first_audio

import voicebench.results.columns as under_test
from voicebench.errors import ResultsError
from voicebench.results import batches
from voicebench.results.codec import encode_line
from voicebench.results.columns import read_columns, stream_turns
from voicebench.results.csv_rows import write_rows
from voicebench.timeline import Timeline

TURNS = [
    replace(turn_with_first_audio(5, phase="cold"), turn=1),
    replace(drawn_turn(tokens=[1, 2], chunks=[2], audio=[(100, 50)]), turn=2, prompt="=1+1"),
    replace(failed_turn(), turn=3),
    replace(turn_with_first_audio(300.123456789), turn=4, prompt="'quoted'"),
]


def folder_of(path: Path, turns: Sequence[Timeline] = TURNS, *, csv: bool = True) -> Path:
    path.mkdir()
    (path / "settings.json").write_text('{"run": {"name": "drawn"}}')
    (path / "environment.json").write_text("{}")
    (path / "turns.jsonl").write_text("".join(f"{encode_line(turn)}\n" for turn in turns))
    if csv:
        with (path / "runs.csv").open("w", encoding="utf-8", newline="") as file:
            write_rows(file, turns)
    return path


@pytest.fixture
def csv_from_the_first_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "FROM_TURNS", 0)


def test_the_columns_hold_the_measured_turns(tmp_path: Path) -> None:
    run = read_columns(folder_of(tmp_path / "run"))
    assert run.name == "drawn"
    assert run.complete
    assert not run.cut_line
    assert run.columns.prompts == ("=1+1", "What time is it?", "'quoted'")
    assert run.columns.failed.tolist() == [False, True, False]
    first_audio = run.columns.values["first_audio_ms"]
    assert first_audio[0] == 100
    assert np.isnan(first_audio[1])
    assert first_audio[2] == TURNS[3].audio[0].at_ns / 1e6


def test_the_csv_gives_the_same_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of(tmp_path / "run")
    slow = read_columns(folder).columns
    monkeypatch.setattr(under_test, "FROM_TURNS", 0)
    monkeypatch.setattr(under_test, "columns_of", None)  # the turns must not be read for it
    quick = read_columns(folder).columns
    assert quick.prompts == slow.prompts
    assert quick.failed.tolist() == slow.failed.tolist()
    for name, column in slow.values.items():
        np.testing.assert_array_equal(quick.values[name], column)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace(",300.1234", ",200.1234"),
        lambda text: text[: text.rindex("'quoted'")],
        lambda text: "".join(text.splitlines(keepends=True)[:-1]),
        lambda text: text.replace("first_audio_ms", "first_audio"),
        lambda text: "",
    ],
    ids=["changed", "cut in a row", "a row short", "another column", "empty"],
)
@pytest.mark.usefixtures("csv_from_the_first_turn")
def test_a_csv_that_does_not_stand_for_the_turns_is_left_aside(tmp_path: Path, spoil) -> None:
    folder = folder_of(tmp_path / "run")
    csv = folder / "runs.csv"
    before = csv.read_text()
    csv.write_text(spoil(before))
    assert csv.read_text() != before
    first_audio = read_columns(folder).columns.values["first_audio_ms"]
    assert first_audio[2] == TURNS[3].audio[0].at_ns / 1e6


@pytest.mark.usefixtures("csv_from_the_first_turn")
def test_without_a_csv_the_turns_are_read(tmp_path: Path) -> None:
    assert read_columns(folder_of(tmp_path / "run", csv=False)).columns.turns == 3


def test_a_cut_last_line_is_left_out_and_told(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "run")
    turns = folder / "turns.jsonl"
    turns.write_text(turns.read_text()[:-20])
    run = read_columns(folder)
    assert run.cut_line
    assert run.columns.turns == 2
    assert len(list(stream_turns(folder))) == 3


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "is no results folder: it has no turns.jsonl"),
        ("", "holds no finished turn"),
        ('{"schema": 99}\n', "line 1 has schema 99"),
        ("hello\n", "line 1 is no turn of voicebench"),
        (f"{encode_line(TURNS[1])}\n{encode_line(TURNS[0])}\n", "the turns of several runs"),
    ],
    ids=["no turns", "empty", "unknown schema", "foreign", "mixed"],
)
def test_what_is_no_run_is_said_in_a_sentence(
    tmp_path: Path, content: str | None, sentence: str
) -> None:
    folder = folder_of(tmp_path / "run")
    turns = folder / "turns.jsonl"
    if content is None:
        turns.unlink()
    else:
        turns.write_text(content)
    with pytest.raises(ResultsError) as refused:
        read_columns(folder)
    assert sentence in str(refused.value)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "run")
    (folder / "turns.jsonl").write_bytes(b"\xff\xfe\n")
    with pytest.raises(ResultsError, match="is not UTF-8 text"):
        read_columns(folder)


def test_a_line_without_end_fills_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "MAX_LINE_BYTES", 1000)
    folder = folder_of(tmp_path / "run")
    (folder / "turns.jsonl").write_bytes(b"x" * 5000)
    with pytest.raises(ResultsError, match="longer than any turn"):
        read_columns(folder)
