"""The encodings of PCM samples, by FFmpeg's names, and how to decode them to float32.

==================  ===============================================================================
``s16le`` …         signed integers of 16, 24 and 32 bits, low byte first (``le``) or high (``be``)
``u8``, ``s8``      integers of 8 bits: around 128, as in a WAV, or signed
``f32le`` …         floats of 32 and 64 bits, full scale ±1
``mulaw``, ``alaw``  8 bits on a logarithmic scale, as in telephony (ITU-T G.711)
==================  ===============================================================================

Speech that is decoded with the wrong encoding is noise.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

PcmEncoding = Literal[
    "s16le",
    "s16be",
    "s24le",
    "s24be",
    "s32le",
    "s32be",
    "f32le",
    "f32be",
    "f64le",
    "u8",
    "s8",
    "mulaw",
    "alaw",
]


class _Stored(NamedTuple):
    sample_bytes: int
    words: str
    dtype: str = ""
    """As numpy names it; "" if numpy has none, or if it is not to be scaled as one."""


_STORED: dict[PcmEncoding, _Stored] = {
    "s16le": _Stored(2, "16-bit integers, low byte first", "<i2"),
    "s16be": _Stored(2, "16-bit integers, high byte first", ">i2"),
    "s24le": _Stored(3, "24-bit integers"),
    "s24be": _Stored(3, "24-bit integers, high byte first"),
    "s32le": _Stored(4, "32-bit integers", "<i4"),
    "s32be": _Stored(4, "32-bit integers, high byte first", ">i4"),
    "f32le": _Stored(4, "32-bit floats", "<f4"),
    "f32be": _Stored(4, "32-bit floats, high byte first", ">f4"),
    "f64le": _Stored(8, "64-bit floats", "<f8"),
    "u8": _Stored(1, "8-bit integers"),
    "s8": _Stored(1, "signed 8-bit integers", "i1"),
    "mulaw": _Stored(1, "µ-law"),
    "alaw": _Stored(1, "A-law"),
}

SAMPLE_BYTES = {encoding: stored.sample_bytes for encoding, stored in _STORED.items()}
IN_WORDS = {encoding: stored.words for encoding, stored in _STORED.items()}


def decode_pcm(raw: bytes, encoding: PcmEncoding) -> NDArray[np.float32]:
    """Return the samples ``(n,)`` in ``raw`` as float32, full scale ±1, channels interleaved.

    ``raw`` has a whole number of samples. Stored floats may be infinite or not a number.
    """
    if encoding == "mulaw":
        return _mulaw_levels()[np.frombuffer(raw, np.uint8)]
    if encoding == "alaw":
        return _alaw_levels()[np.frombuffer(raw, np.uint8)]
    if encoding == "u8":
        return np.frombuffer(raw, np.uint8).astype(np.float32) / np.float32(128) - np.float32(1)
    if encoding in ("s24le", "s24be"):
        stored = np.frombuffer(raw, np.uint8).reshape(-1, 3)
        wide = np.zeros((len(stored), 4), dtype=np.uint8)
        wide[:, 1:] = stored if encoding == "s24le" else stored[:, ::-1]
        return wide.view("<i4").reshape(-1).astype(np.float32) / np.float32(2**31)
    dtype = np.dtype(_STORED[encoding].dtype)
    # A float64 may overflow float32. The audio is judged later; numpy must not warn.
    with np.errstate(all="ignore"):
        values = np.frombuffer(raw, dtype).astype(np.float32)
    if dtype.kind == "i":
        values /= np.float32(1 << (8 * dtype.itemsize - 1))
    return values


@cache
def _mulaw_levels() -> NDArray[np.float32]:
    """Return the level of each µ-law byte: a sign, 3 bits of exponent, 4 of mantissa, inverted."""
    code = ~np.arange(256) & 0xFF
    exponent, mantissa = code >> 4 & 7, code & 15
    magnitude = ((mantissa << 3) + 132 << exponent) - 132
    return _levels(np.where(code & 0x80, -magnitude, magnitude))


@cache
def _alaw_levels() -> NDArray[np.float32]:
    """Return the level of each A-law byte: as µ-law, every second bit inverted."""
    code = np.arange(256) ^ 0x55
    exponent, mantissa = code >> 4 & 7, code & 15
    above = ((mantissa << 4) + 264) << np.maximum(exponent - 1, 0)
    magnitude = np.where(exponent == 0, (mantissa << 4) + 8, above)
    return _levels(np.where(code & 0x80, magnitude, -magnitude))


def _levels(steps: NDArray[np.int64]) -> NDArray[np.float32]:
    levels = (steps / 32768).astype(np.float32)
    levels.setflags(write=False)
    return levels
