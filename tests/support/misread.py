"""A signal's bytes in each encoding, and what they are in another: for tests of what hears it."""

from __future__ import annotations

import base64

import numpy as np
from numpy.typing import NDArray

from voicebench.audio.encodings import SAMPLE_BYTES, PcmEncoding, decode_pcm

Samples = NDArray[np.float32]


def stored(pcm: Samples, encoding: PcmEncoding) -> bytes:
    """Return the bytes of ``pcm`` (within full scale) in an encoding."""
    wide = pcm.astype(np.float64)
    if encoding in ("mulaw", "alaw"):
        levels = decode_pcm(bytes(range(256)), encoding).astype(np.float64)
        order = np.argsort(levels)
        middles = (levels[order][1:] + levels[order][:-1]) / 2
        return order[np.searchsorted(middles, wide)].astype(np.uint8).tobytes()
    if encoding == "u8":
        return np.rint(wide * 127 + 128).astype(np.uint8).tobytes()
    if encoding.startswith("f"):
        byte_order = ">" if encoding.endswith("be") else "<"
        return wide.astype(f"{byte_order}f{SAMPLE_BYTES[encoding]}").tobytes()
    bits = 8 * SAMPLE_BYTES[encoding]
    steps = np.rint(wide * (2 ** (bits - 1) - 1)).astype("<i4" if bits < 32 else "<i8")
    each = steps.view(np.uint8).reshape(wide.size, -1)[:, : bits // 8]
    return np.ascontiguousarray(each[:, ::-1] if encoding.endswith("be") else each).tobytes()


def as_16_bit(raw: bytes) -> Samples:
    """Return what is heard where ``raw`` is taken for 16-bit samples, low byte first."""
    return decode_pcm(raw[: len(raw) // 2 * 2], "s16le")


def in_base64(pcm: Samples) -> bytes:
    """Return 16-bit samples as text."""
    return base64.b64encode(stored(pcm, "s16le"))
