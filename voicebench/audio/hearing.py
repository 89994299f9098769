"""Does a turn's audio sound like speech?

Nothing is recognised. Noise, hums, tones, and bytes that were read in the wrong way differ from
speech in what all speech has in common:

- its spectrum is not **flat** (`voicebench.audio.spectra`): a voice has overtones and formants, and
  a whisper still has formants;
- its spectrum **changes**. The level of eleven bands up to 5.6 kHz, less the frame's mean and
  smoothed over three frames, varies over time. The mean spread of the bands, in dB, is the change:
  4 dB or more in a voice, about 1 dB in noise of any colour, a hum or a tone;
- no **stretch** as loud as the rest is as flat as noise, as in a stream that fails half way;
- its bytes make less sense in every **other reading** (`voicebench.audio.misreading`).

`unlike_speech` needs these figures alone, so a sealed turn can be judged again. If too little is
audible, there is no verdict. docs/explanation/statistics.md has the measured error rates. Music,
and a sequence of tones, pass as speech.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voicebench.audio.misreading import LARGEST, Form, doubled_samples, in_words, misread_as
from voicebench.audio.spectra import Spectra, spectra_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_NOISE_S = 0.2
FLATTEST_DB = -2.0
"""The flattest that speech may be."""
LEAST_UNCHANGED_S = 0.7
LEAST_CHANGE_DB = 1.4
"""The smallest change of the spectrum in speech."""
STRETCH_S = 1.0
STRETCH_FLATTEST_DB = -1.6
STRETCH_BELOW_LOUDEST_DB = 5.0
"""A stretch is as loud as the rest if it is within this of the turn's loudest tenth."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """The figures of a turn's audio that tell speech from other sounds."""

    audible_s: float = 0.0
    """Seconds that are loud enough to count."""
    flatness_db: float | None = None
    """None if nothing is audible."""
    change_db: float | None = None
    """None if fewer than three frames are audible."""
    noise_s: float = 0.0
    """Seconds of the longest stretch that is mostly noise: 0, or `STRETCH_S` and more."""
    looks_like: Form | None = None
    """What the samples really are, if they were read in the wrong way."""
    doubled: bool = False
    """Whether each sample comes twice."""


def hear(pcm: NDArray[np.float32], sample_rate: int, first_audible_sample: int | None) -> Hearing:
    """Return the figures of ``pcm``: float32 mono, ``(samples,)``.

    A sample that is not a number or infinite counts as 0.
    """
    spectra = spectra_of(pcm, sample_rate)
    if spectra is None or first_audible_sample is None:
        return Hearing()
    is_finite = bool(np.isfinite(pcm).all())
    return Hearing(
        audible_s=spectra.audible_s,
        flatness_db=spectra.mean_flatness_db,
        change_db=_change_db(spectra.bands),
        noise_s=_longest_noise_s(spectra),
        looks_like=misread_as(pcm, sample_rate, first_audible_sample) if is_finite else None,
        doubled=is_finite and doubled_samples(pcm),
    )


def unlike_speech(heard: Hearing, peak: float) -> str | None:
    """Return why this is not speech, as a sentence; None if it may be, or too little is audible.

    ``peak`` is the largest magnitude of the audio as a share of full scale.
    """
    if heard.looks_like is not None:
        return f"the audio is not speech: its samples look like {in_words(heard.looks_like)}"
    if not peak <= LARGEST:  # also if it is not a number
        return f"the audio is not speech: its samples reach {peak:.0f} times full scale"
    return None if heard.flatness_db is None else _noise(heard, heard.flatness_db)


def _noise(heard: Hearing, flatness_db: float) -> str | None:
    if heard.audible_s >= LEAST_NOISE_S and flatness_db > FLATTEST_DB:
        return f"the audio is noise, not speech (spectral flatness {flatness_db:.1f} dB)"
    change_db = heard.change_db if heard.audible_s >= LEAST_UNCHANGED_S else None
    if change_db is not None and change_db < LEAST_CHANGE_DB:
        return (
            "the audio is one unchanging sound, not speech "
            f"(its spectrum changes by {change_db:.1f} dB)"
        )
    if heard.noise_s > 0:
        return "a part of the audio is noise, not speech"
    return None


def _change_db(bands: NDArray[np.float64]) -> float | None:
    if len(bands) < 3:
        return None
    smooth = (bands[:-2] + bands[1:-1] + bands[2:]) / 3
    # A band 50 dB below the strongest is inaudible beside it.
    smooth = smooth + smooth.max(axis=1, keepdims=True) * 1e-5 + 1e-30
    shape = 10 * np.log10(smooth)
    shape -= shape.mean(axis=1, keepdims=True)
    low, high = np.quantile(shape, (0.15, 0.85), axis=0)
    return float(np.mean(high - low)) / 2.07  # the standard deviation, if normal


def _longest_noise_s(spectra: Spectra) -> float:
    count = round(STRETCH_S / spectra.step_s)
    if spectra.number.size < count:
        return 0.0
    power = np.concatenate(([0.0], np.cumsum(spectra.power)))
    flat = np.concatenate(([0.0], np.cumsum(spectra.power * spectra.flatness_db)))
    within = power[count:] - power[:-count]
    loud = np.quantile(spectra.power, 0.9) * 10 ** (-STRETCH_BELOW_LOUDEST_DB / 10)
    spread = spectra.number[count - 1 :] - spectra.number[: spectra.number.size - count + 1]
    found = (
        ((flat[count:] - flat[:-count]) / within > STRETCH_FLATTEST_DB)
        & (within / count > loud)
        & (spread < 1.25 * count)
    )
    edges = np.flatnonzero(np.diff(np.concatenate(([False], found, [False])).astype(np.int8)))
    runs = edges[1::2] - edges[0::2]
    return float((runs.max() + count - 1) * spectra.step_s) if runs.size else 0.0
