"""Very many turns go to several processes, and what comes back is what one would have made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from drawn_turns import turn_with_first_audio

from voicebench.errors import ResultsError
from voicebench.results import batches
from voicebench.results.batches import map_turns
from voicebench.results.codec import encode_line
from voicebench.turn.timeline import Timeline

COUNT = 1203


def numbers(turns: Sequence[Timeline]) -> list[int]:
    return [turn.turn for turn in turns]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    line = encode_line(turn_with_first_audio(300))
    assert '"turn":1,' in line
    lines = [line.replace('"turn":1,', f'"turn":{number},') for number in range(1, COUNT + 1)]
    (tmp_path / "turns.jsonl").write_text("".join(f"{one}\n" for one in lines))
    return tmp_path


@pytest.fixture
def shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "SHARED_FROM_BYTES", 0)
    monkeypatch.setattr(batches, "core_count", lambda: 2)


def test_a_small_file_is_read_in_this_process(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "ProcessPoolExecutor", None)
    assert [len(made) for made in map_turns(folder, numbers)] == [500, 500, 203]


@pytest.mark.slow
@pytest.mark.usefixtures("shared_out")
def test_several_processes_give_the_batches_in_order(folder: Path) -> None:
    made = list(map_turns(folder, numbers))
    assert [number for batch in made for number in batch] == list(range(1, COUNT + 1))


@pytest.mark.slow
@pytest.mark.usefixtures("shared_out")
def test_a_line_that_is_no_turn_is_named_from_another_process(folder: Path) -> None:
    path = folder / "turns.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:700], "hello\n", *lines[700:]]))
    with pytest.raises(ResultsError, match="line 701 is no turn of voicebench"):
        list(map_turns(folder, numbers))


def test_turns_of_two_runs_are_found_where_two_batches_meet(folder: Path) -> None:
    path = folder / "turns.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:500] + lines[:3]))
    with pytest.raises(ResultsError, match="line 501: turn 1 comes after turn 500"):
        list(map_turns(folder, numbers))


def test_a_cut_last_line_is_left_out(folder: Path) -> None:
    path = folder / "turns.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    assert sum(map(len, map_turns(folder, numbers))) == COUNT - 1
