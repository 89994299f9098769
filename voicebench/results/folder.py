"""The run folder, while it is being written.

``results/<UTC time>-<name>/`` holds the settings, the environment, one line per finished turn and,
at the end, the summary. Every turn is on disk (flushed and synced) before the next one begins, and
the marker ``INCOMPLETE`` lies in the folder from its first moment until the run has ended well, so
that neither Ctrl-C, a crash, a full disk nor a power cut can lose a finished turn or make half a
run look whole.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from voicebench.audio.wav import write_wav
from voicebench.errors import CannotMeasure, ResultsError
from voicebench.recorder import Recording
from voicebench.results.checksums import write_checksums
from voicebench.results.codec import encode_line
from voicebench.results.csv_rows import CSV_COLUMNS, RunCount, row
from voicebench.timeline import Timeline

INCOMPLETE = "INCOMPLETE"
SETTINGS = "settings.json"
ENVIRONMENT = "environment.json"
TURNS = "turns.jsonl"
CSV = "runs.csv"
SUMMARY = "summary.json"
AUDIO = "audio"


class RunFolder:
    """Writes one run; use as a context manager. Leaving it early leaves the marker in place."""

    def __init__(self, path: Path, *, save_audio: bool) -> None:
        self.path = path
        self._save_audio = save_audio
        self._runs = RunCount()
        self._turns: TextIO = (path / TURNS).open("a", encoding="utf-8")
        self._csv: TextIO = (path / CSV).open("a", encoding="utf-8", newline="")
        self._rows = csv.DictWriter(self._csv, CSV_COLUMNS, lineterminator="\n")
        self._rows.writeheader()
        self._csv.flush()

    def __enter__(self) -> RunFolder:
        """Return the open folder."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the files."""
        for file in (self._turns, self._csv):
            try:
                file.close()
            except OSError:
                # A full disk may refuse the last buffered bytes; finished turns are synced already.
                continue

    def append(self, recording: Recording) -> None:
        """Put a finished turn on disk. Raises `CannotMeasure` when the disk takes no more."""
        turn = recording.timeline
        run = self._runs.of(turn.phase)
        try:
            self._turns.write(encode_line(turn) + "\n")
            _sync(self._turns)
            self._rows.writerow(row(turn, run))
            self._csv.flush()
            if self._save_audio and turn.sound is not None:
                folder = self.path / AUDIO
                folder.mkdir(exist_ok=True)
                path = folder / audio_name(turn, run)
                write_wav(path, recording.pcm, turn.sound.sample_rate)
        except OSError as error:
            raise CannotMeasure(
                f"turn {turn.turn} cannot be written to {self.path} ({error.strerror})",
                "free space there; the finished turns before it are kept",
            ) from None

    def write_summary(self, document: Mapping[str, object]) -> None:
        """Write ``summary.json``."""
        _write_json(self.path / SUMMARY, document)

    def complete(self) -> None:
        """Write the checksums and take the marker away: all that belongs to the run is on disk."""
        write_checksums(self.path)
        (self.path / INCOMPLETE).unlink()


def audio_name(turn: Timeline, run: int | None) -> str:
    """Return the name of a turn's WAV: ``turn-004-run-001.wav``, ``turn-002-warmup.wav``."""
    return f"turn-{turn.turn:03d}-{turn.phase if run is None else f'run-{run:03d}'}.wav"


def audio_file(result: Path, turn: int) -> Path | None:
    """Return the WAV of a turn of ``result``; None where its audio was not kept."""
    folder = result / AUDIO
    # Results from before the runs' numbers have the turn's alone.
    found = [folder / f"turn-{turn:03d}.wav", *sorted(folder.glob(f"turn-{turn:03d}-*.wav"))]
    return next((path for path in found if path.is_file()), None)


def create_run_folder(
    results: Path,
    name: str,
    *,
    settings: Mapping[str, object],
    environment: Mapping[str, object],
    save_audio: bool = False,
) -> RunFolder:
    """Make a new run folder under ``results``. Raises `ResultsError` where that cannot be done."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    try:
        path = _make_folder(results, f"{stamp}-{name}")
        (path / INCOMPLETE).touch()
        _write_json(path / SETTINGS, settings)
        _write_json(path / ENVIRONMENT, environment)
        return RunFolder(path, save_audio=save_audio)
    except OSError as error:
        raise _unwritable(results, error) from None


def check_writable(results: Path) -> None:
    """Raise `ResultsError` unless run folders can be made under ``results``."""
    try:
        results.mkdir(parents=True, exist_ok=True)
        probe = results / f".voicebench-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise _unwritable(results, error) from None


def _make_folder(results: Path, name: str) -> Path:
    """Make ``results/name``; with a number behind it where two runs began in the same second."""
    results.mkdir(parents=True, exist_ok=True)
    for attempt in range(1, 1000):
        path = results / (name if attempt == 1 else f"{name}-{attempt}")
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise FileExistsError(None, "too many runs of that name in one second")


def _unwritable(results: Path, error: OSError) -> ResultsError:
    return ResultsError(
        f"results folder {results} cannot be written ({error.strerror})",
        "name another with --results",
    )


def _write_json(path: Path, document: Mapping[str, object]) -> None:
    with path.open("w", encoding="utf-8") as file:
        json.dump(document, file, indent=2, ensure_ascii=False)
        file.write("\n")
        _sync(file)


def _sync(file: TextIO) -> None:
    file.flush()
    os.fsync(file.fileno())
