"""Run folders read back: each line once, what is left out, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn_turns import drawn_turn, failed_turn, turn_with_first_audio
from recorded_folders import write_rows

from voicebench.errors import ResultsError
from voicebench.results import batches, codec
from voicebench.results.batches import stream_turns
from voicebench.results.codec import check_schema, encode_line
from voicebench.results.run import read_run
from voicebench.turn.timeline import Failure, TimedRemark, Timeline

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


def test_the_columns_hold_the_measured_turns(tmp_path: Path) -> None:
    run = read_run(folder_of(tmp_path / "run"))
    assert run.name == "drawn"
    assert run.complete
    assert not run.cut_line
    assert run.columns.prompts == ("=1+1", "What time is it?", "'quoted'")
    assert run.columns.failed.tolist() == [False, True, False]
    first_audio = run.columns.values["first_audio_ms"]
    assert first_audio[0] == 100
    assert np.isnan(first_audio[1])
    assert first_audio[2] == TURNS[3].audio[0].at_ns / 1e6


def test_the_figures_are_those_of_the_turns_whatever_the_table_says(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "run")
    table = folder / "runs.csv"
    table.write_text(table.read_text().replace(",300.1234", ",200.1234"))
    first_audio = read_run(folder).columns.values["first_audio_ms"]
    assert first_audio[2] == TURNS[3].audio[0].at_ns / 1e6


def test_without_a_table_nothing_is_missing(tmp_path: Path) -> None:
    assert read_run(folder_of(tmp_path / "run", csv=False)).columns.turns == 3


@pytest.mark.parametrize(("count", "again"), [(20, 0), (200, 0), (1000, 1)])
def test_each_line_is_parsed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, again: int
) -> None:
    """Of a long run the median turn is parsed once more: which it is, only the last turn tells."""
    turns = [replace(turn_with_first_audio(100 + n % 97), turn=n) for n in range(1, count + 1)]
    folder = folder_of(tmp_path / "run", turns)
    parsed = []

    def counting(document: Mapping[str, object], where: str) -> None:
        parsed.append(where)
        check_schema(document, where)

    monkeypatch.setattr(codec, "check_schema", counting)
    run = read_run(folder)
    run.document()
    assert run.summary.turns == count
    assert len(parsed) == count + again


def test_a_turn_that_the_user_broke_off_was_written_down_once_and_is_not_counted(
    tmp_path: Path,
) -> None:
    """Versions before the final verdict put it at the end of the file, as a failed turn."""
    broken_off = replace(
        failed_turn(), turn=5, failure=Failure("interrupted by the user", "interrupted", "turn")
    )
    folder = folder_of(tmp_path / "run", [*TURNS, broken_off])
    assert read_run(folder).summary.turns == 4
    (folder / "INCOMPLETE").touch()
    assert (read_run(folder).summary.turns, read_run(folder).summary.failed) == (3, 1)
    (folder / "summary.json").write_text('{"schema": 1, "exit_code": 130}')
    assert read_run(folder).summary.turns == 4  # a server's failure, however it names it


def test_a_server_cannot_take_its_failures_out_of_the_count(tmp_path: Path) -> None:
    """Only the last turn of an incomplete run can have been broken off by the user."""
    told = Failure("interrupted by the user", "interrupted", "turn")
    broken = [replace(failed_turn(), turn=number, failure=told) for number in (5, 6)]
    folder = folder_of(tmp_path / "run", [*TURNS, *broken])
    (folder / "INCOMPLETE").touch()
    assert read_run(folder).summary.failed == 2


def test_a_run_without_a_turn_is_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "run", [])
    with pytest.raises(ResultsError, match="holds no finished turn"):
        read_run(folder)


def test_a_cut_last_line_is_left_out_and_told(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "run")
    turns = folder / "turns.jsonl"
    turns.write_text(turns.read_text()[:-20])
    run = read_run(folder)
    assert run.cut_line
    assert run.columns.turns == 2
    assert len(list(stream_turns(folder))) == 3


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "is not a run folder: it has no turns.jsonl"),
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
        read_run(folder)
    assert sentence in str(refused.value)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "run")
    (folder / "turns.jsonl").write_bytes(b"\xff\xfe\n")
    with pytest.raises(ResultsError, match="is not UTF-8 text"):
        read_run(folder)


def test_a_line_without_end_fills_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "MAX_LINE_BYTES", 1000)
    folder = folder_of(tmp_path / "run")
    (folder / "turns.jsonl").write_bytes(b"x" * 5000)
    with pytest.raises(ResultsError, match="too long for a turn"):
        read_run(folder)


def test_sound_after_a_turns_end_makes_a_run_invalid_whatever_its_gates_say(tmp_path: Path) -> None:
    turn = turn_with_first_audio(5)
    late = replace(turn, turn=2, remarks=(TimedRemark(1, "late sound"),))
    gates = ["first_audio.max < 300ms"]
    run = read_run(folder_of(tmp_path / "run", [turn, late]), gates)
    assert run.final.word == "INVALID"
    assert run.final.exit_code == 5
    assert run.final.why() == "sound came after its turn's end in 1 of 2 turns"
    assert read_run(folder_of(tmp_path / "clean", [turn]), gates).final.word == "PASS"
