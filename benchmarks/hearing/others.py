"""Sounds that are not speech: noise, unchanging sounds, and speech read in the wrong format."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable

import numpy as np

from benchmarks.hearing.speech import Samples
from benchmarks.hearing.suffered import Codec, colored, encoded, scaled
from voicebench.audio.encodings import SAMPLE_BYTES, PcmEncoding, decode_pcm

Drawn = np.random.Generator


def stored(pcm: Samples, encoding: PcmEncoding) -> bytes:
    """Return the bytes of ``pcm`` (within full scale) in an encoding."""
    if encoding in ("mulaw", "alaw"):
        levels = decode_pcm(bytes(range(256)), encoding).astype(np.float64)
        order = np.argsort(levels)
        middles = (levels[order][1:] + levels[order][:-1]) / 2
        return order[np.searchsorted(middles, pcm)].astype(np.uint8).tobytes()
    if encoding == "u8":
        return np.rint(pcm * 127 + 128).astype(np.uint8).tobytes()
    if encoding.startswith("f"):
        order_of = ">" if encoding.endswith("be") else "<"
        return pcm.astype(f"{order_of}f{SAMPLE_BYTES[encoding]}").tobytes()
    width = SAMPLE_BYTES[encoding]
    steps = np.rint(pcm * (2 ** (8 * width - 1) - 1)).astype("<i4" if width < 4 else "<i8")
    each = steps.view(np.uint8).reshape(pcm.size, -1)[:, :width]
    return np.ascontiguousarray(each[:, ::-1] if encoding.endswith("be") else each).tobytes()


def as_16_bit(raw: bytes) -> Samples:
    """Return ``raw`` read as 16-bit samples, low byte first."""
    return decode_pcm(raw[: len(raw) // 2 * 2], "s16le").astype(np.float64)


def misread(encoding: PcmEncoding) -> Callable[[Samples, int], Samples]:
    """Return speech of an encoding, read as 16-bit samples."""
    return lambda pcm, _: as_16_bit(stored(pcm, encoding))


def read_as(encoding: PcmEncoding) -> Callable[[Samples, int], Samples]:
    """Return 16-bit speech, read in another encoding."""
    width = SAMPLE_BYTES[encoding]

    def heard(pcm: Samples, _: int) -> Samples:
        raw = stored(pcm, "s16le")
        with np.errstate(invalid="ignore"):
            read = decode_pcm(raw[: len(raw) // width * width], encoding).astype(np.float64)
        return np.nan_to_num(read, nan=0.0, posinf=1e30, neginf=-1e30)

    return heard


def of_codec(codec: Codec) -> Callable[[Samples, int], Samples]:
    """Return compressed speech, its frames read as 16-bit samples."""
    return lambda pcm, rate: as_16_bit(encoded(pcm, rate, codec))


BYTES: dict[str, Callable[[Samples, int], Samples]] = {
    **{
        f"{encoding} read as s16le": misread(encoding)
        for encoding in SAMPLE_BYTES
        if encoding != "s16le"
    },
    **{
        f"s16le read as {encoding}": read_as(encoding)
        for encoding in ("s16be", "s24le", "f32le", "u8", "mulaw", "alaw")
    },
    "s16le, off by a byte": lambda pcm, _: as_16_bit(b"\0" + stored(pcm, "s16le")),
    "s16le, a byte lost half way": lambda pcm, _: as_16_bit(
        stored(pcm, "s16le")[: pcm.size // 2 * 2] + stored(pcm, "s16le")[pcm.size // 2 * 2 + 1 :]
    ),
    "two channels, one 3 dB quieter": lambda pcm, _: np.stack([pcm, 0.7 * pcm], axis=1).reshape(-1),
    "base64 read as s16le": lambda pcm, _: as_16_bit(base64.b64encode(stored(pcm, "s16le"))),
    "hexadecimal read as s16le": lambda pcm, _: as_16_bit(stored(pcm, "s16le").hex().encode()),
    "zip read as s16le": lambda pcm, _: as_16_bit(zlib.compress(stored(pcm, "s16le"))),
    "MP3 read as s16le": of_codec(Codec("mp3", "libmp3lame", 64, 24_000)),
    "AAC read as s16le": of_codec(Codec("adts", "aac", 64, 24_000)),
    "Opus read as s16le": of_codec(Codec("ogg", "libopus", 32, 48_000)),
    "FLAC read as s16le": of_codec(Codec("flac", "flac", 0, 24_000)),
    "s16le read as s32le": read_as("s32le"),
    "two channels, one 10 dB quieter": lambda pcm, _: np.stack([pcm, 0.3 * pcm], axis=1).reshape(
        -1
    ),
    "unsigned 16 bits read as s16le": lambda pcm, _: as_16_bit(
        ((scaled(pcm) + 1) * 32767).astype("<u2").tobytes()
    ),
    "16-bit floats read as s16le": lambda pcm, _: as_16_bit(pcm.astype("<f2").tobytes()),
}
"""Speech whose bytes are read in the wrong way, by name: samples and rate, samples as heard."""


def tone(samples: int, rate: int, hertz: float, overtones: int = 1) -> Samples:
    """Return a tone with its overtones."""
    at = np.arange(samples) / rate
    waves = [np.sin(2 * np.pi * hertz * k * at) / k for k in range(1, overtones + 1)]
    return scaled(np.sum(waves, axis=0), 0.3)


SOUNDS: dict[str, Callable[[int, int, Drawn], Samples]] = {
    "white noise": lambda n, _, drawn: scaled(colored(n, 0, drawn), drawn.uniform(0.1, 0.9)),
    "pink noise": lambda n, _, drawn: scaled(colored(n, 1, drawn), drawn.uniform(0.1, 0.9)),
    "brown noise": lambda n, _, drawn: scaled(colored(n, 2, drawn), drawn.uniform(0.1, 0.9)),
    "blue noise": lambda n, _, drawn: scaled(colored(n, -1, drawn), drawn.uniform(0.1, 0.9)),
    "a tone": lambda n, rate, drawn: tone(n, rate, drawn.uniform(80, 1500)),
    "a hum of 50 Hz": lambda n, rate, drawn: tone(n, rate, 50, int(drawn.integers(1, 20))),
    "a hum in noise": lambda n, rate, drawn: tone(n, rate, 50, 9) + 0.02 * colored(n, 0, drawn),
    "a square wave": lambda n, rate, drawn: np.sign(tone(n, rate, drawn.uniform(80, 900))) / 4,
}
"""Sounds that do not change: number of samples, rate and random numbers, samples."""
