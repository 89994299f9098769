"""WAV streams as servers really send them: a parser that takes bytes as they arrive.

A WAV is a RIFF container: ``RIFF <size> WAVE``, then chunks of ``<id> <size> <body>``, with a pad
byte after a body of odd size. ``fmt `` says how samples are stored (see `wav_format`), ``data``
has them.

A speech server does not know the length of its answer when it sends the header, and servers make
mistakes. So `WavStream`

- takes bytes cut anywhere, in the header or in a sample, and returns whole frames at once;
- takes an impossible data size for a placeholder: 0, and sizes of ten minutes of speech or more
  (0x7FFFFFFF, 0xFFFFFFFF, two thousand million, an hour). The sound then ends with the stream, and
  only the transport knows whether that was cut off. A possible size is a promise: a stream that
  ends before it was cut off;
- skips unknown chunks, before and after the samples, with or without their pad byte;
- continues after a second ``RIFF`` header: some servers send one WAV for each sentence. The format
  may change, the rate may not;
- decodes integers of 8, 16, 24 and 32 bits and floats of 32 and 64, and mixes channels down;
- never counts the header as audio.

Everything that cannot be decoded raises `WavError`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from voicebench.audio.wav_format import WavError, WavFormat, parse_format, samples_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_HEADER_BYTES = 1 << 20
"""Maximum of bytes before the samples; a larger header is an error."""
LONGEST_S = 600.0
"""A data size of this many seconds or more is a placeholder."""
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
    """Decodes a WAV that is still arriving.

    ``format`` and ``sample_rate`` are None until the ``fmt `` chunk is complete. Samples before an
    error are returned first; the next call raises the error.
    """

    is_compressed = False

    def __init__(self) -> None:
        self.format: WavFormat | None = None
        self._buffer = bytearray()
        self._position = 0  # in the stream, of the buffer's first byte
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
        """The rate in Hz; None before the header has it."""
        return self.format.sample_rate if self.format else None

    def feed(self, data: bytes | bytearray | memoryview) -> NDArray[np.float32]:
        """Take the next bytes and return the samples that are complete now: mono, ``(n,)``.

        Raises `WavError` if the bytes are not a WAV.
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
        """Take the end of the stream, and return the last samples (nearly always none).

        Raises `WavError` if the stream ends in a header, in a sample, or before the size that its
        header declared.
        """
        if self._fault:
            raise self._fault
        end = self._position + len(self._buffer)
        if end == 0:
            raise WavError("an empty WAV: not one byte came")
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

    # Each of the following methods reads one part of the container. It returns None if it needs
    # more bytes. Otherwise it sets which part comes next, and returns samples (mostly none).

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
                f"not a chunk of a WAV at byte {self._position - 8}: {name!r}"
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
            # Many programs omit the pad byte. It is 0, and a chunk's name begins with a letter.
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
            # A declared size that is not whole frames: skip the rest.
            self._skip_left = self._data_left
            if len(self._buffer) >= self._skip_left:
                self._read_on = self._skip
                return samples
        return samples if samples.size else None

    def _data_until_end(self) -> NDArray[np.float32] | None:
        end, header_follows = self._samples_end()
        if self._data_left is not None and end > self._data_left:
            self._until_end = False  # the size was true after all, and other chunks may follow
            return self._data()
        samples = self._decode(end)
        if header_follows:
            # Less than a frame is left before the header.
            self._read_on = self._riff if self._buffer[:4] == b"RIFF" else self._cut_sample
            return samples
        return samples if samples.size else None

    def _cut_sample(self) -> NDArray[np.float32] | None:
        raise WavError(f"a sample is cut by the next WAV header at byte {self._position}")

    def _samples_end(self) -> tuple[int, bool]:
        """Return how many bytes of the buffer are samples, and whether a header follows them.

        ``RIFF....WAVE`` in samples is a new header: by chance it comes once in 2**64 bytes. The
        beginning of a possible header waits for the next bytes.
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
        """Take the whole frames in the first ``available`` bytes, and return their samples."""
        assert self.format is not None
        raw = self._take(available - available % self._frame_bytes)
        if self._data_left is not None:
            self._data_left -= len(raw)
        return samples_of(raw, self.format)

    def _take(self, count: int) -> bytes:
        """Remove up to ``count`` bytes from the beginning of the buffer, and return them."""
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        self._position += len(taken)
        return taken


def _seen(head: bytes) -> str:
    """Return what a file with these first bytes is, if known."""
    for magic, meaning in _OTHER_MAGIC.items():
        if head.startswith(magic):
            return f"{meaning} (it begins with {head!r})"
    return f"it begins with {head!r}"


_NO_SAMPLES: NDArray[np.float32] = np.zeros(0, dtype=np.float32)
_NO_SAMPLES.setflags(write=False)
