"""The run folder keeps every finished turn, whatever happens next."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from wav_files import read_wav

from voicebench.audio.wav_writer import cannot_write
from voicebench.errors import CannotMeasure, ResultsError
from voicebench.results import folder as folder_module
from voicebench.results.batches import stream_turns
from voicebench.results.folder import INCOMPLETE, RunFolder, check_writable, create_run_folder
from voicebench.results.reading import run_folders
from voicebench.results.run import previous_run, read_run
from voicebench.results.uninterrupted import uninterrupted
from voicebench.results.writing import write_whole
from voicebench.turn.recorder import Recording
from voicebench.turn.timeline import Sound, Timeline


def recording(turn: int) -> Recording:
    """Return a turn of 50 ms of tone at 1 kHz."""
    pcm = np.full(50, 0.5, dtype=np.float32)
    timeline = Timeline(
        turn=turn,
        phase="measured",
        prompt="hello",
        started_at="2026-01-01T00:00:00.000+00:00",
        end_ns=1,
        sound=Sound(1000, 0, 0.5, 0.5, 0),
    )
    return Recording(timeline, pcm)


def make(
    results: Path, name: str = "test", *, save_audio: bool = False, target: str = "cascade"
) -> RunFolder:
    settings = {"run": {"name": name, "target": target}}
    return create_run_folder(
        results, name, settings=settings, environment={"cpu": None}, save_audio=save_audio
    )


def test_a_complete_run_reads_back_as_written(tmp_path: Path) -> None:
    with make(tmp_path) as folder:
        folder.append(recording(1))
        folder.append(recording(2))
        assert folder.finish({"schema": 1}, complete=True) is None
    run = read_run(folder.path)
    assert [turn.turn for turn in stream_turns(run.path)] == [1, 2]
    assert run.complete
    assert run.settings == {"run": {"name": "test", "target": "cascade"}}
    assert len((folder.path / "runs.csv").read_text().splitlines()) == 3
    assert json.loads((folder.path / "summary.json").read_text()) == {"schema": 1}


def test_a_run_is_marked_incomplete_until_it_has_ended(tmp_path: Path) -> None:
    with make(tmp_path) as folder:
        assert (folder.path / INCOMPLETE).exists()
        folder.append(recording(1))
    assert not read_run(folder.path).complete
    assert run_folders(tmp_path) == []


def test_each_turn_is_on_disk_before_the_next_begins(tmp_path: Path) -> None:
    with make(tmp_path) as folder:
        folder.append(recording(1))
        assert [turn.turn for turn in stream_turns(folder.path)] == [1]


@pytest.mark.slow
def test_a_killed_process_leaves_its_finished_turns(tmp_path: Path) -> None:
    script = f"""
import os, signal, sys
sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}
from pathlib import Path
from test_folder import make, recording
folder = make(Path({str(tmp_path)!r}))
folder.append(recording(1))
folder.append(recording(2))
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == -signal.SIGKILL
    (path,) = tmp_path.iterdir()
    run = read_run(path)
    assert [turn.turn for turn in stream_turns(run.path)] == [1, 2]
    assert not run.complete


def test_a_full_disk_is_said_and_keeps_the_turns_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make(tmp_path) as folder:
        folder.append(recording(1))

        def full(_descriptor: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(CannotMeasure, match=r"turn 2 cannot be written .*No space left"):
                folder.append(recording(2))
    run = read_run(folder.path)
    assert [turn.turn for turn in stream_turns(run.path)] == [1]
    assert not run.complete


def full(*_arguments: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_turn_that_does_not_fit_leaves_no_half_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make(tmp_path, save_audio=True) as folder:
        folder.append(recording(1))
        kept = (folder.path / "turns.jsonl").read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(CannotMeasure, match=r"turn 2 .*\(No space left on device\)"):
                folder.append(recording(2))
    assert (folder.path / "turns.jsonl").read_bytes() == kept


def test_sound_that_does_not_fit_leaves_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(path: Path, *_arguments: object) -> None:
        path.write_bytes(b"RIFF")
        raise cannot_write(path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    monkeypatch.setattr(folder_module, "write_wav", cut)
    with make(tmp_path, save_audio=True) as folder:
        with pytest.raises(CannotMeasure, match=r"turn 1 .*No space left") as caught:
            folder.append(recording(1))
        assert f"voicebench report {folder.path}" in caught.value.remedy
    assert list((folder.path / "audio").iterdir()) == []
    assert read_run(folder.path).summary.turns == 1


@pytest.mark.parametrize(
    ("refused", "named"),
    [("write_json", "summary.json"), ("write_checksums", "SHA256SUMS")],
)
def test_a_full_disk_at_the_end_names_the_file_and_leaves_the_marker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str, named: str
) -> None:
    with make(tmp_path) as folder:
        folder.append(recording(1))
        monkeypatch.setattr(folder_module, refused, full)
        error = folder.finish({"schema": 1}, complete=True)
    assert error is not None
    assert error.message == f"{named} cannot be written to {folder.path} (No space left on device)"
    assert error.exit_code == 4
    assert "turns.jsonl" in (folder.path / INCOMPLETE).read_text()
    assert not read_run(folder.path).complete


def test_a_file_is_whole_or_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_whole(path, "before")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            write_whole(path, "after")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_at_the_beginning_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResultsError, match="No space left"):
        make(tmp_path)
    with pytest.raises(ResultsError, match="No space left"):
        check_writable(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("move", [shutil.rmtree, lambda path: path.rename(f"{path}-moved")])
def test_a_folder_that_is_gone_is_noticed_at_the_next_turn(
    tmp_path: Path, move: Callable[[Path], None]
) -> None:
    with make(tmp_path) as folder:
        folder.append(recording(1))
        move(folder.path)
        with pytest.raises(CannotMeasure, match=r"turn 2 .* was removed or moved"):
            folder.append(recording(2))
        error = folder.finish({"schema": 1}, complete=True)
    assert error is not None
    assert "was removed or moved during the run" in error.message
    assert not folder.path.exists()


def test_a_request_to_end_waits_until_a_turn_is_whole() -> None:
    done = []

    def step() -> None:
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            done.append("whole")

    with pytest.raises(KeyboardInterrupt):
        step()
    assert done == ["whole"]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_a_name_that_is_not_utf_8_is_kept_as_it_is(tmp_path: Path) -> None:
    named = os.fsdecode(b"r\xe9glages.toml")
    with create_run_folder(
        tmp_path, "test", settings={"run": {"prompts": named}}, environment={}
    ) as folder:
        folder.append(recording(1))
    assert read_run(folder.path).settings == {"run": {"prompts": named}}


def test_audio_is_kept_only_when_asked_for(tmp_path: Path) -> None:
    with make(tmp_path, save_audio=True) as folder:
        folder.append(recording(3))
    pcm, rate = read_wav(folder.path / "audio" / "turn-003-run-001.wav")
    assert rate == 1000
    np.testing.assert_allclose(pcm, recording(3).pcm, atol=1e-4)


def test_two_runs_of_one_second_do_not_share_a_folder(tmp_path: Path) -> None:
    paths = set()
    for _ in range(3):
        with make(tmp_path) as folder:
            paths.add(folder.path)
    assert len(paths) == 3


def test_a_results_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    blocker = tmp_path / "results"
    blocker.write_text("")
    with pytest.raises(ResultsError, match="cannot be written") as caught:
        check_writable(blocker)
    assert "--results" in caught.value.remedy


def test_a_cut_last_line_is_told_apart_from_a_broken_file(tmp_path: Path) -> None:
    with make(tmp_path) as folder:
        folder.append(recording(1))
        folder.append(recording(2))
    turns = folder.path / "turns.jsonl"
    turns.write_text(turns.read_text()[:-20])
    run = read_run(folder.path)
    assert [turn.turn for turn in stream_turns(run.path)] == [1]
    assert run.cut_line


def test_a_folder_without_turns_is_no_result(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"is not a run folder: it has no turns\.jsonl"):
        read_run(tmp_path)
    with make(tmp_path) as folder:
        pass
    with pytest.raises(ResultsError, match="holds no finished turn"):
        read_run(folder.path)


def test_the_previous_run_is_the_latest_complete_one_of_that_name(tmp_path: Path) -> None:
    def run(stamp: str, name: str, *, complete: bool = True, target: str = "sim:ttft=9ms") -> Path:
        with make(tmp_path, name, target=target) as folder:
            folder.append(recording(1))
            if complete:
                folder.finish({"schema": 1}, complete=True)
        return folder.path.rename(tmp_path / f"{stamp}-{name}")

    first = run("20260101T000000Z", "a")
    run("20260102T000000Z", "b")
    run("20260103T000000Z", "a", complete=False)
    run("20260103T000001Z", "a-b")
    run("20260103T000002Z", "a", target="sim:ttft=8ms")
    now = run("20260104T000000Z", "a")
    found = previous_run(tmp_path, "a", now, read_run(now))
    assert found is not None
    assert found.path == first
    assert previous_run(tmp_path, "a", first, read_run(first)) is None
