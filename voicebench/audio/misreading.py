"""Finds audio whose bytes were read in the wrong encoding, by reading them in every other one.

Bytes in the wrong encoding are noise. In the right one, the same bytes are speech, which is far
less flat (`voicebench.audio.spectra`). Speech that was read correctly behaves the other way round:
every other reading mixes the samples' low bytes, which are noise, into the high ones. So a reading
needs no threshold of its own, only a margin over the one in use.

The bytes are known if 16-bit or 24-bit integers, or an 8-bit encoding, can represent every sample;
else they are taken for those of 32-bit integers, of which a float keeps the upper three bytes. One
second of sound is examined. Some misreadings still sound like a voice, at another speed:

- two signed 8-bit samples read as one: every second sample is heard. Their low and high bytes are
  one smooth signal, while the low bytes of 16-bit samples are noise;
- 16-bit samples read as 32-bit ones, for the same reason;
- wider samples read in pieces of 16 bits, every second of which is noise or 0: samples of even and
  odd number differ in power;
- two channels read as one: a sample is nearer to one of its neighbours than to the other. If both
  channels are *equal*, each sample comes twice. Doubling samples to raise the rate does the same,
  and is speech, so this alone is not a verdict (`doubled_samples`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np

from voicebench.audio.encodings import IN_WORDS, SAMPLE_BYTES, PcmEncoding, decode_pcm
from voicebench.audio.spectra import mean_flatness_db

if TYPE_CHECKING:
    from numpy.typing import NDArray

Form = PcmEncoding | Literal["u16le", "f16le", "text", "stereo", "wide"]
"""An encoding, or what else the bytes can be."""
Reading = PcmEncoding | Literal["u16le", "f16le"]

STRETCH_S = 1.0
LEAST_SAMPLES = 1024
MARGIN_DB = 1.5
"""How much flatter the reading in use must be than another one."""
WIDE_MARGIN_DB = 4.0
"""The same for the readings that hardly any server needs."""
SURELY_SPEECH_DB = -13.0
"""Audio less flat than this is a voice."""
SURELY_NOISE_DB = -2.0
"""Audio flatter than this is noise, whatever the bytes are."""
LEAST_LEVELS = 64
"""Bytes behind fewer different levels show no encoding."""
AS_LOUD = 4.0
"""Low and high bytes whose powers differ by this factor are not one signal."""
UNEVEN, VERY_UNEVEN = 2.0, 4.0
"""Power of even samples over that of odd ones: at most 1.2 in speech, and 2 if its rate was raised
by interpolation."""
LOPSIDED, SLIGHTLY_LOPSIDED = 2.5, 1.05
"""How much further one neighbour is than the other, as a power: at most 1.5 in speech, and 1.00 if
its rate was raised by interpolation."""
ALIKE = 0.5
SMOOTH = 0.2
"""Neighbouring bytes are one signal from this correlation on."""
TEXT_SHARE = 0.999
LARGEST = 8.0
"""A correct reading stays below this share of full scale; floats of random bytes do not."""
LARGEST_16_BIT = 65536.0
"""Floats up to this may have the scale of 16-bit integers."""
WHOLE_GROUPS = 24
"""The examined stretch begins at a multiple of this many samples: groups of 2, 3, 4 and 8 bytes."""

_CODINGS: tuple[PcmEncoding, ...] = ("u8", "mulaw", "alaw")
_WIDE: tuple[Reading, ...] = ("s16be", "s24le", "f32le", "f64le")
_UNUSUAL: tuple[Reading, ...] = ("u16le", "f16le")
_NARROW: tuple[PcmEncoding, ...] = ("u8", "s8", "mulaw", "alaw")
_TEXT = np.zeros(256, dtype=np.bool_)
_TEXT[[*range(32, 127), *b"\t\n\r"]] = True


_FORMS_IN_WORDS: dict[Form, str] = {
    "s16be": "16-bit integers in the other byte order",  # of which it is, they do not show
    "u16le": "unsigned 16-bit integers",
    "f16le": "16-bit floats",
    "text": "text, such as base64, hexadecimal or JSON",
    "stereo": "two channels, one sample of each in turn",
    "wide": "samples of more than 16 bits",
}


def in_words(form: Form) -> str:
    """Return the words for this form that complete "its samples look like …"."""
    if form in SAMPLE_BYTES and form != "s16be":
        return IN_WORDS[form]
    return _FORMS_IN_WORDS[form]


def misread_as(
    pcm: NDArray[np.float32], sample_rate: int, first_audible_sample: int
) -> Form | None:
    """Return what the bytes behind ``pcm`` are, if they were read in the wrong way.

    None also if the bytes are unknown, or too few. ``pcm`` is finite.
    """
    begin = first_audible_sample // WHOLE_GROUPS * WHOLE_GROUPS
    stretch = pcm[begin : begin + max(LEAST_SAMPLES, round(STRETCH_S * sample_rate))]
    stretch = stretch[: stretch.size // WHOLE_GROUPS * WHOLE_GROUPS]
    heard = mean_flatness_db(stretch, sample_rate)
    if stretch.size < LEAST_SAMPLES or heard is None:
        return None
    found: Form | None = None
    sources = list(_bytes_behind(stretch))
    for source, raw in sources:
        if source in ("s16le", "s24le", "s32le") and _is_text(raw):
            return "text"
        if source in ("s24le", "s32le"):
            found = _narrower(raw, source, sample_rate, heard)
        else:
            found = _narrow(raw, sample_rate) if source == "s16le" else None
            if found is None and heard > SURELY_SPEECH_DB:
                others = _WIDE if source == "s16le" else ("s16le", *_WIDE, *_NARROW)
                found = _less_flat(raw, source, others, sample_rate, heard - MARGIN_DB)
        if found is not None:
            return found
    found = _in_turn(stretch)
    if found is None and SURELY_SPEECH_DB < heard < SURELY_NOISE_DB and sources[-1:]:
        source, raw = sources[-1]
        if source == "s16le":
            return _less_flat(raw, source, _UNUSUAL, sample_rate, heard - WIDE_MARGIN_DB)
    return found


def doubled_samples(pcm: NDArray[np.float32]) -> bool:
    """Return whether each sample comes twice: two equal channels, or samples that were doubled."""
    pairs = pcm[: pcm.size // 2 * 2].reshape(-1, 2)
    if np.count_nonzero(np.diff(pairs[:, 0])) < LEAST_SAMPLES // 2:
        return False
    return bool((pairs[:, 0] == pairs[:, 1]).mean() > 0.999)


def _bytes_behind(pcm: NDArray[np.float32]) -> Iterator[tuple[PcmEncoding, bytes]]:
    """Yield the bytes that ``pcm`` was read from, for each encoding that is possible."""
    if np.abs(pcm).max() > LARGEST:
        yield "f32le", pcm.astype("<f4").tobytes()
        return
    steps = pcm.astype(np.float64) * 32768
    if np.abs(steps).max() > 32768:
        return
    if not np.array_equal(steps, np.rint(steps)):
        yield from _wide_bytes_behind(steps)
        return
    for source in _CODINGS:
        levels = decode_pcm(bytes(range(256)), source)
        order = np.argsort(levels, kind="stable")
        # If two bytes have one level, the later: µ-law has two zeros, and 0xFF is the usual one.
        at = order[(np.searchsorted(levels, pcm, "right", sorter=order) - 1).clip(0)]
        if np.array_equal(levels[at], pcm):
            yield source, at.astype(np.uint8).tobytes()
    yield "s16le", np.minimum(steps, 32767).astype("<i2").tobytes()


def _wide_bytes_behind(steps: NDArray[np.float64]) -> Iterator[tuple[PcmEncoding, bytes]]:
    """Yield the bytes behind samples of more than 16 bits; ``steps`` are those of 16 bits."""
    whole = np.minimum(np.rint(steps * 65536), 2**31 - 1).astype("<i4")
    if np.unique(whole).size < LEAST_LEVELS:
        return
    each = whole.view(np.uint8).reshape(-1, 4)
    if each[:, 0].any():
        each[:, 0] = each[:, 1]  # It is not kept.
    else:
        yield "s24le", each[:, 1:].tobytes()
    yield "s32le", each.tobytes()


def _narrower(raw: bytes, source: PcmEncoding, sample_rate: int, heard_db: float) -> Form | None:
    """Return what ``raw`` is if its samples are not the integers of ``source``."""
    others: tuple[Reading, ...] = ()
    if source == "s32le" and _smooth(np.frombuffer(raw, "<i2").reshape(-1, 2)):
        others = ("s16le",)
    elif heard_db > SURELY_SPEECH_DB:
        others = ("f32le", "f64le")
    return _less_flat(raw, source, others, sample_rate, heard_db - MARGIN_DB) if others else None


def _is_text(raw: bytes) -> bool:
    return bool(_TEXT[np.frombuffer(raw, np.uint8)].mean() >= TEXT_SHARE)


def _narrow(raw: bytes, sample_rate: int) -> PcmEncoding | None:
    """Return the 8-bit encoding of ``raw`` if each byte stands alone."""
    if not _smooth(np.frombuffer(raw, np.int8).reshape(-1, 2)):
        return None
    return min(_NARROW, key=lambda encoding: _flatness_as(raw, encoding, sample_rate))


def _smooth(low_and_high: NDArray[np.signedinteger]) -> bool:
    """Return whether low and high parts are one signal, ``(n, 2)``: equally loud, and alike."""
    pairs = low_and_high.astype(np.float64)
    pairs -= pairs.mean(axis=0)
    low, high = np.square(pairs).mean(axis=0)
    if not 0 < max(low, high) < AS_LOUD * min(low, high):
        return False
    return bool((pairs[:, 0] * pairs[:, 1]).mean() > SMOOTH * np.sqrt(low * high))


def _less_flat(
    raw: bytes, source: Reading, others: tuple[Reading, ...], sample_rate: int, below_db: float
) -> Reading | None:
    """Return the least flat reading among ``others``; None if it is not below ``below_db``."""
    readings = {
        encoding: _flatness_as(raw, encoding, sample_rate)
        for encoding in others
        if encoding != source
    }
    best = min(readings, key=lambda encoding: readings[encoding])
    return best if readings[best] < below_db else None


def _in_turn(pcm: NDArray[np.float32]) -> Form | None:
    """Return what the samples are if those of even and odd number differ; None if alike."""
    pairs = pcm.astype(np.float64).reshape(-1, 2)
    pairs -= pairs.mean(axis=0)
    power = np.square(pairs).mean(axis=0)
    within = float(np.square(pairs[:, 1] - pairs[:, 0]).mean())
    between = float(np.square(pairs[1:, 0] - pairs[:-1, 1]).mean())
    lopsided = max(within, between) / (min(within, between) or np.inf)
    if power.max() < UNEVEN * power.min():
        return "stereo" if lopsided > LOPSIDED else None
    strong, weak = (0, 1) if power[0] > power[1] else (1, 0)
    stronger = pairs[:, strong]
    # In an interpolated signal, every second sample is the mean of its neighbours.
    around = (stronger[1:] + stronger[:-1]) / 2
    between_them = pairs[:-1, weak] if weak == 1 else pairs[1:, weak]
    alike = (around * between_them).mean() / np.sqrt(power[weak] * np.square(around).mean() or 1)
    if alike < ALIKE:
        return "wide"
    is_uneven = power.max() > VERY_UNEVEN * power.min()
    return "stereo" if is_uneven or lopsided > SLIGHTLY_LOPSIDED else None


def _flatness_as(raw: bytes, reading: Reading, sample_rate: int) -> float:
    """Return how flat ``raw`` is in another encoding, from the best offset for its samples."""
    match reading:
        case "u16le" | "f16le":
            width = 2
        case _:
            width = SAMPLE_BYTES[reading]
    found = [0.0]
    for offset in range(0, width, 2 if width in (4, 8) else 1):
        whole = (len(raw) - offset) // width * width
        read = _read_as(raw[offset : offset + whole], reading)
        if np.isfinite(read).all() and np.abs(read).max() <= LARGEST:
            found.append(mean_flatness_db(read, sample_rate) or 0.0)
    return min(found)


def _read_as(raw: bytes, reading: Reading) -> NDArray[np.float32]:
    if reading == "u16le":
        return decode_pcm((np.frombuffer(raw, "<u2") ^ 0x8000).tobytes(), "s16le")
    if reading == "f16le":
        return np.frombuffer(raw, "<f2").astype(np.float32)
    read = decode_pcm(raw, reading)
    is_float = reading.startswith("f")
    return read / np.float32(32768) if is_float and _has_scale_of_16_bits(read) else read


def _has_scale_of_16_bits(read: NDArray[np.float32]) -> bool:
    return bool(np.isfinite(read).all() and LARGEST < np.abs(read).max() <= LARGEST_16_BIT)
