"""Writes 16-bit mono WAVs: a file that grows as samples arrive, and the header of a stream."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from voicebench.audio.pcm import to_int16
from voicebench.audio.wav_format import PCM_TAG
from voicebench.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_UNKNOWN_SIZE = 0xFFFFFFFF


class WavWriter:
    """A 16-bit mono WAV file that is written while its samples arrive.

    The header is correct after every `append`, so an interrupted file can be played.
    """

    def __init__(self, path: str | Path, sample_rate: int) -> None:
        """Create or replace ``path``. Raises `UsageError` if it cannot be written."""
        self.path = Path(path)
        self.sample_rate = sample_rate
        self.samples = 0
        try:
            self._file = self.path.open("wb")
        except OSError as error:
            raise cannot_write(self.path, error) from None
        self.append(np.zeros(0, dtype=np.float32))

    def append(self, pcm: NDArray[np.float32]) -> None:
        """Add ``pcm`` (mono, full scale ±1, clipped) to the end."""
        try:
            self.samples += pcm.size
            self._file.seek(0)
            self._file.write(wav_header(self.sample_rate, self.samples))
            self._file.seek(0, 2)
            self._file.write(to_int16(pcm).astype("<i2").tobytes())
            self._file.flush()
        except OSError as error:
            self.close()
            raise cannot_write(self.path, error) from None

    def close(self) -> None:
        """Close the file, which is already complete."""
        with contextlib.suppress(OSError):
            self._file.close()

    def __enter__(self) -> WavWriter:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def wav_header(sample_rate: int, samples: int | None = None) -> bytes:
    """Return the 44 bytes of header for 16-bit mono samples; None is an unknown number of them.

    An unknown number has the size 0xFFFFFFFF; players and ffmpeg then read to the end.
    """
    data_bytes = _UNKNOWN_SIZE if samples is None else 2 * samples
    riff_bytes = min(_UNKNOWN_SIZE, 36 + data_bytes)
    fmt = struct.pack("<HHIIHH", PCM_TAG, 1, sample_rate, 2 * sample_rate, 2, 16)
    return (
        struct.pack("<4sI4s", b"RIFF", riff_bytes, b"WAVE")
        + struct.pack("<4sI", b"fmt ", len(fmt))
        + fmt
        + struct.pack("<4sI", b"data", data_bytes)
    )


def write_wav(path: str | Path, pcm: NDArray[np.float32], sample_rate: int) -> None:
    """Write ``pcm`` (mono, full scale ±1, clipped) as a 16-bit WAV.

    Raises `UsageError` if the file cannot be written.
    """
    with WavWriter(path, sample_rate) as file:
        file.append(pcm)


def write_stereo_wav(
    path: str | Path,
    left: NDArray[np.float32],
    right: NDArray[np.float32],
    sample_rate: int,
) -> None:
    """Write two channels (full scale ±1, clipped) as a 16-bit WAV; the shorter one ends in silence.

    Raises `UsageError` if the file cannot be written.
    """
    frames = np.zeros((max(left.size, right.size), 2), dtype=np.float32)
    frames[: left.size, 0] = left
    frames[: right.size, 1] = right
    try:
        Path(path).write_bytes(stereo_wav(to_int16(frames), sample_rate))
    except OSError as error:
        raise cannot_write(Path(path), error) from None


def stereo_wav(frames: NDArray[np.int16], sample_rate: int) -> bytes:
    """Return a WAV of two channels, ``(samples, 2)``."""
    fmt = struct.pack("<HHIIHH", PCM_TAG, 2, sample_rate, 4 * sample_rate, 4, 16)
    samples = frames.astype("<i2").tobytes()
    return (
        struct.pack("<4sI4s", b"RIFF", 36 + len(samples), b"WAVE")
        + struct.pack("<4sI", b"fmt ", len(fmt))
        + fmt
        + struct.pack("<4sI", b"data", len(samples))
        + samples
    )


def cannot_write(path: Path, error: OSError) -> UsageError:
    """Return the error for a file that cannot be written."""
    return UsageError(f"cannot write {path}: {error.strerror or error}")
