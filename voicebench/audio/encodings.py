"""How a sample is stored: the encodings of PCM, by FFmpeg's names, and back into float32.

==================  ===============================================================================
``s16le`` …         signed integers of 16, 24 and 32 bits, low byte first (``le``) or high (``be``)
``u8``, ``s8``      integers of 8 bits: around 128, as in a WAV, or signed
``f32le`` …         floats of 32 and 64 bits, full scale ±1
``mulaw``, ``alaw``  8 bits on a logarithmic scale, as on the telephone (ITU-T G.711)
==================  ===============================================================================

A voice that is read in another encoding than its own is noise.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Literal

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

SAMPLE_BYTES: dict[PcmEncoding, int] = {
    "s16le": 2,
    "s16be": 2,
    "s24le": 3,
    "s24be": 3,
    "s32le": 4,
    "s32be": 4,
    "f32le": 4,
    "f32be": 4,
    "f64le": 8,
    "u8": 1,
    "s8": 1,
    "mulaw": 1,
    "alaw": 1,
}

IN_WORDS: dict[PcmEncoding, str] = {
    "s16le": "16-bit integers, low byte first",
    "s16be": "16-bit integers, high byte first",
    "s24le": "24-bit integers",
    "s24be": "24-bit integers, high byte first",
    "s32le": "32-bit integers",
    "s32be": "32-bit integers, high byte first",
    "f32le": "32-bit floats",
    "f32be": "32-bit floats, high byte first",
    "f64le": "64-bit floats",
    "u8": "8-bit integers",
    "s8": "signed 8-bit integers",
    "mulaw": "µ-law",
    "alaw": "A-law",
}

_DTYPES: dict[PcmEncoding, str] = {
    "s16le": "<i2",
    "s16be": ">i2",
    "s32le": "<i4",
    "s32be": ">i4",
    "f32le": "<f4",
    "f32be": ">f4",
    "f64le": "<f8",
    "s8": "i1",
}


def decode_pcm(raw: bytes, encoding: PcmEncoding) -> NDArray[np.float32]:
    """Return whole samples as float32, full scale ±1; the channels as they lie, one by one.

    ``raw`` holds a whole number of samples. A float may hold anything, also what is no number.
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
    dtype = np.dtype(_DTYPES[encoding])
    # What a wild float becomes is for the judge of the audio, not a warning.
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
