"""WAV as servers really send it: a parser that is fed bytes as they arrive.

A WAV is a RIFF container: ``RIFF <size> WAVE``, then chunks of ``<id> <size> <body>``, a pad byte
after a body of odd size. ``fmt `` says how samples are stored (see `wav_format`), ``data`` holds
them.

A speech server does not know how long its answer will be when it sends the header, and is not
always careful. So `WavStream`

- takes bytes cut anywhere, in the header or in a sample, and gives back whole frames at once;
- takes a data size that no answer has for a placeholder: 0, and whatever would be ten minutes of
  speech or more (0x7FFFFFFF, 0xFFFFFFFF, two thousand million, an hour). The sound ends with the
  stream then; whether that came to its proper end, the transport knows. A size that an answer may
  have is a promise: sound that ends before it was cut off;
- skips chunks that it does not know, before and after the samples, with or without their pad byte;
- goes on when a second ``RIFF`` header follows: some servers send one WAV for each sentence on one
  connection. Its format may differ, its rate may not;
- decodes integers of 8, 16, 24 and 32 bits and floats of 32 and 64, mixes channels down;
- never calls the header audio: no sample, no array.

What cannot be decoded raises `WavError`, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from voicebench.audio.wav_format import WavError, WavFormat, parse_format, samples_of
from voicebench.audio.wav_writer import WavWriter, unusable_file, wav_header, write_wav

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["WavError", "WavFormat", "WavStream", "WavWriter", "read_wav", "wav_header", "write_wav"]

MAX_HEADER_BYTES = 1 << 20
"""Bytes that may come before the samples; a larger header is an error, not a wait."""
LONGEST_S = 600.0
"""Seconds of sound; a data size of so much, or more, is a placeholder."""
_MAX_FMT_BYTES = 4096
_OTHER_MAGIC = {
    b"OggS": "an Ogg stream",
    b"fLaC": "FLAC",
    b"ID3": "MP3",
    b"\xff\xfb": "MP3",
    b"\xff\xf3": "MP3",
    b"<": "HTML or XML",
    b"{": "JSON",
    b"RIFX": "a big-endian RIFX file",
    b"RF64": "an RF64 file",
}


class WavStream:
    """A WAV that is still arriving: feed it bytes, take samples.

    ``format`` and ``sample_rate`` are None until the header's ``fmt `` chunk is complete. Samples
    that came before a fault are given back first; the fault is raised by the call after.
    """

    def __init__(self) -> None:
        self.format: WavFormat | None = None
        self._buffer = bytearray()
        self._position = 0  # of the buffer's first byte in the stream
        self._read_on: Callable[[], NDArray[np.float32] | None] = self._riff
        self._fault: WavError | None = None
        self._in_header = True
        self._header_bytes = 0
        self._format_seen = False  # in this header; `format` may be that of the WAV before
        self._odd_chunk = False
        self._skip_left = 0
        self._data_left: int | None = None  # None: the header does not say
        self._until_end = False  # the size is a placeholder

    @property
    def sample_rate(self) -> int | None:
        """The rate in Hz, as the header says; None as long as it has not."""
        return self.format.sample_rate if self.format else None

    def feed(self, data: bytes | bytearray | memoryview) -> NDArray[np.float32]:
        """Take the next bytes and return the samples that are whole now: mono, ``(n,)``, maybe 0.

        Raises `WavError` where the bytes are no WAV.
        """
        if self._fault:
            raise self._fault
        self._buffer += data
        parts = [_NO_SAMPLES]
        try:
            while (samples := self._read_on()) is not None:
                parts.append(samples)
        except WavError as fault:
            self._fault = fault
            if not any(part.size for part in parts):
                raise
        return np.concatenate(parts)

    def finish(self) -> NDArray[np.float32]:
        """Say that no byte follows, and return the last samples (nearly always none).

        Raises `WavError` where the stream ends in a header, within a sample, or before the size
        that its header declared.
        """
        if self._fault:
            raise self._fault
        end = self._position + len(self._buffer)
        if end == 0:
            raise WavError("not one byte of a WAV came")
        if self._in_header or b"RIFF" in self._buffer:
            raise WavError(f"the WAV ends in its header, at byte {end}")
        if self._read_on != self._data:
            return _NO_SAMPLES
        samples = self._decode(len(self._buffer))
        if self._buffer:
            raise WavError(f"the WAV ends in the middle of a sample, at byte {end}")
        if self._data_left and not self._until_end:
            raise WavError(f"the WAV ends at byte {end}, {self._data_left} bytes before its size")
        return samples

    # Each of the following reads one part of the container. It returns samples (mostly none) where
    # it got on, having set what is to be read next, and None where it needs more bytes.

    def _riff(self) -> NDArray[np.float32] | None:
        if len(self._buffer) >= 4 and self._buffer[:4] != b"RIFF":
            raise WavError(f"not a WAV at byte {self._position}: {_seen(bytes(self._buffer[:4]))}")
        if len(self._buffer) < 12:
            return None
        kind = self._take(12)[8:]
        if kind != b"WAVE":
            raise WavError(f"not a WAV: a RIFF file of type {kind!r}")
        self._in_header, self._format_seen, self._header_bytes = True, False, 12
        self._read_on = self._chunk
        return _NO_SAMPLES

    def _chunk(self) -> NDArray[np.float32] | None:
        if not self._in_header and self._buffer[:4] == b"RIFF":
            self._read_on = self._riff
            return _NO_SAMPLES
        if len(self._buffer) < 8:
            return None
        head = self._take(8)
        name, size = head[:4], int.from_bytes(head[4:], "little")
        if not all(0x20 <= byte < 0x7F for byte in name):
            raise WavError(
                f"no chunk of a WAV at byte {self._position - 8}: {name!r}"
                + ("" if self._in_header else " (are there more samples than the header declares?)")
            )
        self._odd_chunk = size % 2 == 1
        if self._in_header and name == b"data":
            self._begin_data(size)
            return _NO_SAMPLES
        if self._in_header:
            self._header_bytes += 8 + size
            if self._header_bytes > MAX_HEADER_BYTES:
                raise WavError(f"a WAV header of more than {MAX_HEADER_BYTES} bytes")
        self._skip_left = size
        self._read_on = self._fmt if self._in_header and name == b"fmt " else self._skip
        return _NO_SAMPLES

    def _fmt(self) -> NDArray[np.float32] | None:
        size = self._skip_left
        if not 16 <= size <= _MAX_FMT_BYTES:
            raise WavError(f"a 'fmt ' chunk of {size} bytes at byte {self._position}")
        if len(self._buffer) < size:
            return None
        stored = parse_format(self._take(size))
        if self.format and self.format.sample_rate != stored.sample_rate:
            raise WavError(
                f"the sample rate changes from {self.format.sample_rate} to "
                f"{stored.sample_rate} Hz at byte {self._position}"
            )
        self.format, self._format_seen = stored, True
        self._read_on = self._pad
        return _NO_SAMPLES

    def _skip(self) -> NDArray[np.float32] | None:
        self._skip_left -= len(self._take(self._skip_left))
        if self._skip_left:
            return None
        self._read_on = self._pad
        return _NO_SAMPLES

    def _pad(self) -> NDArray[np.float32] | None:
        if self._odd_chunk:
            if not self._buffer:
                return None
            # Many writers forget the pad byte. It is 0, and a chunk's name begins with a letter.
            if not chr(self._buffer[0]).isalpha():
                self._take(1)
        self._read_on = self._chunk
        return _NO_SAMPLES

    def _begin_data(self, size: int) -> None:
        if not self._format_seen:
            raise WavError(f"samples without a 'fmt ' chunk before them, at byte {self._position}")
        assert self.format is not None
        longest = LONGEST_S * self.format.sample_rate * self.format.frame_bytes
        self._in_header = False
        self._until_end = size == 0 or size >= longest
        self._data_left = size or None
        self._read_on = self._data

    def _data(self) -> NDArray[np.float32] | None:
        if self._until_end:
            return self._data_until_end()
        assert self._data_left is not None
        samples = self._decode(min(len(self._buffer), self._data_left))
        if self._data_left < self._frame_bytes:
            # A declared size that is not whole frames: the rest of it is nothing to hear.
            self._skip_left = self._data_left
            if len(self._buffer) >= self._skip_left:
                self._read_on = self._skip
                return samples
        return samples if samples.size else None

    def _data_until_end(self) -> NDArray[np.float32] | None:
        end, header_follows = self._samples_end()
        if self._data_left is not None and end > self._data_left:
            self._until_end = False  # so long it is: the size was true, and other chunks may follow
            return self._data()
        samples = self._decode(end)
        if header_follows:
            # What is left before the header is less than a frame.
            self._read_on = self._riff if self._buffer[:4] == b"RIFF" else self._cut_sample
            return samples
        return samples if samples.size else None

    def _cut_sample(self) -> NDArray[np.float32] | None:
        raise WavError(f"a sample is cut by the next WAV header at byte {self._position}")

    def _samples_end(self) -> tuple[int, bool]:
        """Return how far the buffer holds samples for sure, and whether a header is next.

        ``RIFF....WAVE`` in samples is a new header: by chance it comes once in 2**64 bytes. What
        may yet become one waits for the next bytes.
        """
        at = self._buffer.find(b"RIFF")
        while at >= 0:
            if len(self._buffer) < at + 12:
                return at, False
            if self._buffer[at + 8 : at + 12] == b"WAVE":
                return at, True
            at = self._buffer.find(b"RIFF", at + 1)
        for tail in (b"RIF", b"RI", b"R"):
            if self._buffer.endswith(tail):
                return len(self._buffer) - len(tail), False
        return len(self._buffer), False

    @property
    def _frame_bytes(self) -> int:
        assert self.format is not None
        return self.format.frame_bytes

    def _decode(self, available: int) -> NDArray[np.float32]:
        """Take the whole frames of the ``available`` bytes and return them as samples."""
        assert self.format is not None
        raw = self._take(available - available % self._frame_bytes)
        if self._data_left is not None:
            self._data_left -= len(raw)
        return samples_of(raw, self.format)

    def _take(self, count: int) -> bytes:
        """Remove up to ``count`` bytes from the buffer's head and return them."""
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        self._position += len(taken)
        return taken


def read_wav(path: str | Path) -> tuple[NDArray[np.float32], int]:
    """Return a WAV file's samples, mixed down to mono, and their rate in Hz.

    Raises `UsageError` where the file cannot be read, `WavError` where it is no whole WAV.
    """
    stream = WavStream()
    parts = []
    try:
        with Path(path).open("rb") as file:
            while block := file.read(1 << 20):
                parts.append(stream.feed(block))
        parts.append(stream.finish())
    except OSError as error:
        raise unusable_file("read", Path(path), error) from None
    except WavError as error:
        raise WavError(f"{path}: {error.message}") from None
    assert stream.sample_rate is not None
    return np.concatenate(parts), stream.sample_rate


def _seen(head: bytes) -> str:
    """Say what begins with these four bytes, where that is well known."""
    for magic, meaning in _OTHER_MAGIC.items():
        if head.startswith(magic):
            return f"{meaning} (it begins with {head!r})"
    return f"it begins with {head!r}"


_NO_SAMPLES: NDArray[np.float32] = np.zeros(0, dtype=np.float32)
_NO_SAMPLES.setflags(write=False)
