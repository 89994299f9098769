"""The run folder, while it is being written.

``results/<UTC time>-<name>/`` has the settings, the environment, one line per finished turn and, at
the end, the summary. Every turn is on disk (flushed and synced) before the next one begins. The
marker ``INCOMPLETE`` is in the folder until the run has ended well. So Ctrl-C, a crash, a full disk
or a power cut cannot lose a finished turn or make half a run look whole.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from voicebench.audio.wav_writer import write_stereo_wav, write_wav
from voicebench.errors import CannotMeasure, ResultsError, UsageError
from voicebench.results.call_rows import CALL_COLUMNS, CALLS_CSV, call_row
from voicebench.results.checksums import NAME as CHECKSUMS
from voicebench.results.checksums import write_checksums
from voicebench.results.codec import encode_line
from voicebench.results.csv_rows import CSV_COLUMNS, RunCount, row
from voicebench.results.writing import Appended, csv_line, naming, write_json, write_whole
from voicebench.turn.recorder import Recording
from voicebench.turn.timeline import Timeline

if TYPE_CHECKING:
    from numpy.typing import NDArray

INCOMPLETE = "INCOMPLETE"
SETTINGS = "settings.json"
ENVIRONMENT = "environment.json"
TURNS = "turns.jsonl"
CSV = "runs.csv"
SUMMARY = "summary.json"
AUDIO = "audio"
LEVELS = "levels.jsonl"
"""Only in the folder of a run under load."""
STARTED_AT = "started_at"
"""The key in ``environment.json`` with the moment at which the run folder was made."""

MARK = """\
This run has not come to its end. The turns that were finished are in turns.jsonl;
`voicebench report` reads them. The summary may be missing.
"""
"""The text in ``INCOMPLETE``."""


class RunFolder:
    """Writes one run; use as a context manager. The marker stays unless `finish` is called."""

    def __init__(self, path: Path, *, save_audio: bool) -> None:
        self.path = path
        self._save_audio = save_audio
        self._runs = RunCount()
        self._turns = Appended(path / TURNS)
        self._csv = Appended(path / CSV)
        self._csv.append(csv_line(CSV_COLUMNS))
        self._calls: Appended | None = None

    def __enter__(self) -> RunFolder:
        """Return the open folder."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the files."""
        for file in (self._turns, self._csv, self._calls):
            if file is not None:
                file.close()

    def append(self, recording: Recording) -> None:
        """Put a finished turn on disk.

        Raises `CannotMeasure` if the disk is full or the folder is no longer there.
        """
        turn = recording.timeline
        run = self._runs.of(turn.phase)
        with self._naming(f"turn {turn.turn}"):
            self._turns.append(encode_line(turn) + "\n", synced=True)
            self._csv.append(csv_line(row(turn, run).values()))
            if self._save_audio and turn.sound is not None:
                self._write_audio(audio_name(turn, run), recording.pcm, turn.sound.sample_rate)

    def append_call(
        self,
        turns: Sequence[Timeline],
        tracks: tuple[NDArray[np.float32], NDArray[np.float32], int] | None,
    ) -> None:
        """Put the turns of a call on disk, and its sound if it is kept.

        ``tracks`` are the caller and the agent, at one sample rate. Raises `CannotMeasure`.
        """
        for turn in turns:
            self.append(Recording(turn, np.zeros(0, dtype=np.float32)))
        with self._naming(CALLS_CSV):
            if self._calls is None:
                self._calls = Appended(self.path / CALLS_CSV)
                self._calls.append(csv_line(name for name, _ in CALL_COLUMNS))
            self._calls.append(
                "".join(
                    csv_line("" if cell is None else cell for cell in call_row(turn))
                    for turn in turns
                )
            )
        if self._save_audio and tracks is not None and turns:
            place = turns[0].call
            number = 0 if place is None else place.call
            with self._naming(f"the sound of call {number}"):
                (self.path / AUDIO).mkdir(exist_ok=True)
                write_stereo_wav(self.path / AUDIO / call_audio_name(number), *tracks)

    def check_in_place(self) -> None:
        """Raise `CannotMeasure` if the folder was removed or moved during the run."""
        with self._naming(SUMMARY):
            pass

    def finish(self, summary: Mapping[str, object], *, complete: bool) -> CannotMeasure | None:
        """Write ``summary.json``; for a complete run also the checksums, and remove the marker.

        Return the error if that fails; then the marker stays.
        """
        try:
            with self._naming(SUMMARY):
                write_json(self.path / SUMMARY, summary)
            if complete:
                with self._naming(CHECKSUMS):
                    write_checksums(self.path)
                    (self.path / INCOMPLETE).unlink()
        except CannotMeasure as error:
            return error
        return None

    def _write_audio(self, name: str, pcm: NDArray[np.float32], sample_rate: int) -> None:
        folder = self.path / AUDIO
        folder.mkdir(exist_ok=True)
        try:
            write_wav(folder / name, pcm, sample_rate)
        except UsageError:
            (folder / name).unlink(missing_ok=True)
            raise

    def _naming(self, what: str) -> AbstractContextManager[None]:
        kept = f"the finished turns are kept (voicebench report {self.path})"
        return naming(what, self._turns, kept)


def call_audio_name(call: int) -> str:
    """Return the name of a call's WAV: the caller left, the agent right."""
    return f"call-{call:03d}.wav"


def call_audio(result: Path, call: int) -> Path | None:
    """Return the WAV of a call of ``result``; None if it was not kept."""
    path = result / AUDIO / call_audio_name(call)
    return path if path.is_file() else None


def audio_name(turn: Timeline, run: int | None) -> str:
    """Return the name of a turn's WAV: ``turn-004-run-001.wav``, ``turn-002-warmup.wav``."""
    return f"turn-{turn.turn:03d}-{turn.phase if run is None else f'run-{run:03d}'}.wav"


def audio_file(result: Path, turn: int) -> Path | None:
    """Return the WAV of a turn of ``result``; None if its audio was not kept."""
    folder = result / AUDIO
    # Older results have only the number of the turn.
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
    """Make a new run folder under ``results``. Raises `ResultsError` if that fails."""
    return make_run_folder(
        results,
        name,
        settings=settings,
        environment=environment,
        opened=lambda path: RunFolder(path, save_audio=save_audio),
    )


Opened = TypeVar("Opened")


def make_run_folder(
    results: Path,
    name: str,
    *,
    settings: Mapping[str, object],
    environment: Mapping[str, object],
    opened: Callable[[Path], Opened],
) -> Opened:
    """Make a new folder with its marker and documents, and open it by ``opened``.

    Raises `ResultsError` if that fails; then nothing stays behind.
    """
    started = datetime.now(UTC)
    try:
        path = _make_folder(results, f"{started.strftime('%Y%m%dT%H%M%SZ')}-{name}")
        try:
            write_whole(path / INCOMPLETE, MARK)
            write_json(path / SETTINGS, settings)
            # The folder's name has seconds; this tells which of two runs in one second began first.
            write_json(path / ENVIRONMENT, {STARTED_AT: started.isoformat(), **environment})
            return opened(path)
        except OSError:
            shutil.rmtree(path, ignore_errors=True)
            raise
    except OSError as error:
        raise _unwritable(results, error) from None


def check_writable(results: Path) -> None:
    """Raise `ResultsError` unless run folders can be made under ``results``."""
    try:
        results.mkdir(parents=True, exist_ok=True)
        probe = results / f".voicebench-{os.getpid()}"
        try:
            write_whole(probe, MARK)
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(results, error) from None
    except ValueError as error:  # a null character in the name
        raise ResultsError(
            f"results folder {results} cannot be made ({error})", "name another with --results"
        ) from None


def _make_folder(results: Path, name: str) -> Path:
    """Make ``results/name``, with a number at the end if another run began in the same second."""
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
