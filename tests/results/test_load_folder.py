"""The folder of a run under load: turns, levels and the answer, whole or marked."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from voicebench.errors import CannotMeasure, ResultsError
from voicebench.results.folder import INCOMPLETE, LEVELS, TURNS
from voicebench.results.load_folder import CAPACITY, LOAD_CSV, create_load_folder, read_levels
from voicebench.results.reading import check_folder, run_folders
from voicebench.turn.load_place import LoadPlace
from voicebench.turn.timeline import Timeline

TURN = Timeline(
    turn=1, phase="load", prompt="Hi", started_at="2026-01-01T00:00:00.000+00:00", end_ns=5,
    load=LoadPlace(1, 2, 0, 3, 7, 0),
)  # fmt: skip


def test_what_was_added_is_read_back(tmp_path: Path) -> None:
    with create_load_folder(tmp_path, "x", ["level", "note"], settings={}, environment={}) as out:
        out.keep(TURN)
        out.add_level({"schema": 1, "level": 1}, [1, None])
        assert (out.path / INCOMPLETE).exists()
        out.finish(CAPACITY, {"capacity": 3}, complete=True)
    assert read_levels(out.path) == [{"schema": 1, "level": 1}]
    assert (out.path / LOAD_CSV).read_text().splitlines() == ["level,note", "1,"]
    assert json.loads((out.path / TURNS).read_text())["load"]["caller"] == 2
    assert json.loads((out.path / CAPACITY).read_text()) == {"capacity": 3}
    assert not (out.path / INCOMPLETE).exists()
    assert "turns.jsonl" in (out.path / "SHA256SUMS").read_text()


def test_an_interrupted_run_keeps_its_mark_and_its_turns(tmp_path: Path) -> None:
    with create_load_folder(tmp_path, "x", ["level"], settings={}, environment={}) as out:
        out.keep(TURN)
        out.finish(CAPACITY, {}, complete=False)
    assert (out.path / INCOMPLETE).exists()
    assert (out.path / TURNS).read_text().count("\n") == 1


def test_turns_are_written_even_if_the_run_fails(tmp_path: Path) -> None:
    out = create_load_folder(tmp_path, "x", ["level"], settings={}, environment={})

    def fails() -> None:
        with out:
            out.keep(TURN)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert (out.path / TURNS).read_text().count("\n") == 1


def test_turns_that_are_written_at_once_reach_the_disk_with_their_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    with create_load_folder(tmp_path, "x", ["level"], settings={}, environment={}) as out:
        monkeypatch.setattr(os, "fsync", synced.append)
        out.keep_at_once(TURN)
        assert (out.path / TURNS).read_text().count("\n") == 1
        assert not synced
        out.sync()
        assert len(synced) == 1


def test_a_folder_that_was_removed_is_named_when_the_next_level_ends(tmp_path: Path) -> None:
    with create_load_folder(tmp_path, "x", ["level"], settings={}, environment={}) as out:
        out.path.rename(tmp_path / "elsewhere")
        with pytest.raises(CannotMeasure, match=r"level 1 .* was removed or moved"):
            out.add_level({"schema": 1, "level": 1}, [1])


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = create_load_folder(tmp_path, "x", ["level"], settings={}, environment={})

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(out._levels, "append", full)
    with out, pytest.raises(CannotMeasure, match=r"level 4 cannot be written.*No space left"):
        out.add_level({"schema": 1, "level": 4}, [4])


def test_its_turns_are_never_mixed_with_those_of_a_run(tmp_path: Path) -> None:
    with create_load_folder(tmp_path, "x", ["level"], settings={}, environment={}) as out:
        out.keep(TURN)
        out.finish(CAPACITY, {}, complete=True)
    assert run_folders(tmp_path) == []
    with pytest.raises(ResultsError, match="a run under load, whose turns are of several levels"):
        check_folder(out.path)


def test_a_damaged_level_is_named(tmp_path: Path) -> None:
    (tmp_path / LEVELS).write_text('{"schema": 1, "level": 1}\nnonsense\n{"cut": ')
    with pytest.raises(ResultsError, match="line 2 is not JSON"):
        read_levels(tmp_path)
    (tmp_path / LEVELS).write_text('{"schema": 1, "level": 1}\n{"cut": ')
    assert len(read_levels(tmp_path)) == 1
    (tmp_path / LEVELS).write_text('{"schema": 99}\n')
    with pytest.raises(ResultsError, match="schema 99"):
        read_levels(tmp_path)
