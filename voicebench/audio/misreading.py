"""Are these samples bytes of another kind? What came, read once more in every other way.

Bytes that are read in the wrong encoding are noise, and the right reading of the same bytes is
speech: far less flat (`voicebench.audio.spectra`). Speech that was read rightly is the other way
round, for each other reading mixes the samples' low bytes, which are noise, into the high ones. So
a reading needs no threshold of its own, only a margin over what was heard.

The bytes are known where every sample is one that 16-bit integers, or a coding of 8 bits, can have.
One stretch of sound is looked at, of a second. Some misreadings still sound like a voice, at
another pace:

- signed 8-bit samples, two to a sample: every second one is heard. Their bytes, low and high alike,
  are one smooth signal; the low bytes of 16-bit samples are noise;
- wider samples in pieces of 16 bits, every second of which is noise or 0: samples of even and odd
  number differ in power;
- two channels, one sample of each in turn: a sample is nearer to the one on its one side than to
  the one on its other. If both channels are *equal*, each sample comes twice. So it does where a
  rate was raised by doubling samples, which is speech: this alone is no verdict
  (`doubled_samples`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from voicebench.audio.encodings import IN_WORDS, SAMPLE_BYTES, PcmEncoding, decode_pcm
from voicebench.audio.spectra import mean_flatness_db

if TYPE_CHECKING:
    from numpy.typing import NDArray

Form = PcmEncoding | Literal["text", "stereo", "wide"]
"""An encoding, or what else the bytes can be."""

FORMS: tuple[str, ...] = (*get_args(PcmEncoding), "text", "stereo", "wide")

STRETCH_S = 1.0
LEAST_SAMPLES = 1024
MARGIN_DB = 1.5
"""How much flatter what was heard has to be than another reading of it."""
SURELY_SPEECH_DB = -13.0
"""What is less flat than this is a voice, whatever else may be wrong with it."""
AS_LOUD = 4.0
"""Low and high bytes whose powers differ by more than this are not one signal."""
UNEVEN = 2.0
"""The power of even samples over that of odd ones; speech has at most 1.2."""
LOPSIDED, SLIGHTLY_LOPSIDED = 2.5, 1.05
"""How much further one neighbour is than the other, as a power; speech has at most 1.5, and 1.00
where its rate was raised by interpolation."""
ALIKE = 0.5
SMOOTH = 0.2
"""Correlation of neighbouring bytes from which on they are one signal."""
TEXT_SHARE = 0.999
LARGEST = 8.0
"""No other reading goes further over full scale than this; floats of random bytes do."""
WHOLE_GROUPS = 24
"""A stretch begins at a multiple of so many samples: of whole groups of 2, 3, 4 and 8 bytes."""

_CODINGS: tuple[PcmEncoding, ...] = ("u8", "mulaw", "alaw")
_WIDE: tuple[PcmEncoding, ...] = ("s16be", "s24le", "f32le", "f64le")
_NARROW: tuple[PcmEncoding, ...] = ("u8", "s8", "mulaw", "alaw")
_TEXT = np.zeros(256, dtype=np.bool_)
_TEXT[[*range(32, 127), *b"\t\n\r"]] = True


def in_words(form: Form) -> str:
    """Return what samples of this form are: "the samples look like …"."""
    match form:
        case "s16be":  # which of the two they were read as, the samples do not tell
            return "16-bit integers in the other byte order"
        case "text":
            return "text, such as base64, hexadecimal or JSON"
        case "stereo":
            return "two channels, one sample of each in turn"
        case "wide":
            return "samples of more than 16 bits"
    return IN_WORDS[form]


def misread_as(
    pcm: NDArray[np.float32], sample_rate: int, first_audible_sample: int
) -> Form | None:
    """Return what the bytes behind ``pcm`` are if they are not what they were read as.

    None also where the bytes are not known, or too few to tell. ``pcm`` holds numbers alone.
    """
    begin = first_audible_sample // WHOLE_GROUPS * WHOLE_GROUPS
    stretch = pcm[begin : begin + max(LEAST_SAMPLES, round(STRETCH_S * sample_rate))]
    stretch = stretch[: stretch.size // WHOLE_GROUPS * WHOLE_GROUPS]
    heard = mean_flatness_db(stretch, sample_rate)
    if stretch.size < LEAST_SAMPLES or heard is None:
        return None
    for source, raw in _bytes_behind(stretch):
        found = _narrow(raw, sample_rate) if source == "s16le" else None
        if found is None and heard > SURELY_SPEECH_DB:
            found = _less_flat(raw, source, sample_rate, heard - MARGIN_DB)
        if found is not None:
            return found
    return _in_turn(stretch)


def doubled_samples(pcm: NDArray[np.float32]) -> bool:
    """Return whether each sample comes twice: two equal channels, or a rate doubled carelessly."""
    pairs = pcm[: pcm.size // 2 * 2].reshape(-1, 2)
    if np.count_nonzero(np.diff(pairs[:, 0])) < LEAST_SAMPLES // 2:
        return False
    return bool((pairs[:, 0] == pairs[:, 1]).mean() > 0.999)


def _bytes_behind(pcm: NDArray[np.float32]) -> Iterator[tuple[PcmEncoding, bytes]]:
    """Yield the bytes that ``pcm`` was read from, for each encoding that it can have had."""
    if np.abs(pcm).max() > LARGEST:
        yield "f32le", pcm.astype("<f4").tobytes()
        return
    steps = pcm.astype(np.float64) * 32768
    if not np.array_equal(steps, np.rint(steps)) or np.abs(steps).max() > 32768:
        return
    for source in _CODINGS:
        levels = decode_pcm(bytes(range(256)), source)
        order = np.argsort(levels, kind="stable")
        # Of two bytes for one level the later: µ-law has two zeros, and 0xFF is the usual one.
        at = order[(np.searchsorted(levels, pcm, "right", sorter=order) - 1).clip(0)]
        if np.array_equal(levels[at], pcm):
            yield source, at.astype(np.uint8).tobytes()
    yield "s16le", np.minimum(steps, 32767).astype("<i2").tobytes()


def _narrow(raw: bytes, sample_rate: int) -> Form | None:
    """Return what the bytes are where each is something of its own: a letter, or a sample."""
    if _TEXT[np.frombuffer(raw, np.uint8)].mean() >= TEXT_SHARE:
        return "text"
    if not _smooth(np.frombuffer(raw, np.int8)):
        return None
    return min(_NARROW, key=lambda encoding: _flatness_as(raw, encoding, sample_rate))


def _smooth(each: NDArray[np.int8]) -> bool:
    """Whether the low and the high bytes are one signal: as loud as each other, and alike."""
    pairs = each.astype(np.float64).reshape(-1, 2)
    pairs -= pairs.mean(axis=0)
    low, high = np.square(pairs).mean(axis=0)
    if not 0 < max(low, high) < AS_LOUD * min(low, high):
        return False
    return bool((pairs[:, 0] * pairs[:, 1]).mean() > SMOOTH * np.sqrt(low * high))


def _less_flat(
    raw: bytes, source: PcmEncoding, sample_rate: int, below_db: float
) -> PcmEncoding | None:
    """Return the encoding in which ``raw`` is the least flat, and less than ``below_db``."""
    tried = _WIDE if source == "s16le" else ("s16le", *_WIDE, *_NARROW)
    readings = {
        encoding: _flatness_as(raw, encoding, sample_rate)
        for encoding in tried
        if encoding != source
    }
    best = min(readings, key=lambda encoding: readings[encoding])
    return best if readings[best] < below_db else None


def _in_turn(pcm: NDArray[np.float32]) -> Form | None:
    """Return what the samples are where those of even and of odd number differ; None if alike."""
    pairs = pcm.astype(np.float64).reshape(-1, 2)
    pairs -= pairs.mean(axis=0)
    power = np.square(pairs).mean(axis=0)
    within = float(np.square(pairs[:, 1] - pairs[:, 0]).mean())
    between = float(np.square(pairs[1:, 0] - pairs[:-1, 1]).mean())
    lopsided = max(within, between) / (min(within, between) or np.inf)
    if power.max() < UNEVEN * power.min():
        return "stereo" if lopsided > LOPSIDED else None
    strong, weak = (0, 1) if power[0] > power[1] else (1, 0)
    others = pairs[:, strong]
    # Of an interpolated signal, every second sample is the mean of its neighbours.
    around = (others[1:] + others[:-1]) / 2
    between_them = pairs[:-1, weak] if weak == 1 else pairs[1:, weak]
    alike = (around * between_them).mean() / np.sqrt(power[weak] * np.square(around).mean() or 1)
    if alike < ALIKE:
        return "wide"
    return "stereo" if lopsided > SLIGHTLY_LOPSIDED else None


def _flatness_as(raw: bytes, encoding: PcmEncoding, sample_rate: int) -> float:
    """Return how flat ``raw`` is in another encoding, where it is cut into samples at its best."""
    width = SAMPLE_BYTES[encoding]
    found = [0.0]
    for offset in range(0, width, 2 if width in (4, 8) else 1):
        whole = (len(raw) - offset) // width * width
        read = decode_pcm(raw[offset : offset + whole], encoding)
        if np.isfinite(read).all() and np.abs(read).max() <= LARGEST:
            found.append(mean_flatness_db(read, sample_rate) or 0.0)
    return min(found)
