"""Does it sound like speech? What tells speech from what is none, in a turn's audio.

Nothing is recognised here. Speech is told from noise, from a hum or tone, and from bytes that were
read in the wrong way, by what all speech has in common:

- its spectrum is not **flat** (`voicebench.audio.spectra`): a voice has overtones and formants, and
  a whisper has formants still;
- its spectrum **changes**. The level of eleven bands up to 5.6 kHz, less the frame's mean and
  smoothed over three frames, spreads over time in each band; the mean of these spreads, in dB, is
  the change. A voice takes another colour with each sound of the language, and has 4 dB or more.
  What goes on unchanged, be it noise of any colour, a hum or a tone, has about 1 dB;
- no **stretch** of it, as loud as the rest, is as flat as noise: a stream that goes wrong half way;
- its bytes make less sense in every **other reading** (`voicebench.audio.misreading`).

`unlike_speech` judges by these alone, so what was sealed with a turn can be judged again. Where too
little is audible to tell, there is no verdict. How often it errs, either way, is measured:
docs/statistics.md. Music, and tones in turn, are not told from speech.
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
"""The least by which the spectrum of speech changes."""
STRETCH_S = 1.0
STRETCH_FLATTEST_DB = -1.6
STRETCH_BELOW_LOUDEST_DB = 5.0
"""A stretch is as loud as the rest within so many dB of the turn's loudest tenth."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """What was heard in a turn's audio."""

    audible_s: float = 0.0
    """Seconds that are loud enough to be looked at."""
    flatness_db: float | None = None
    """None where nothing is audible."""
    change_db: float | None = None
    """None where less than three frames are audible."""
    noise_s: float = 0.0
    """Seconds of the longest stretch in which noise prevails; 0, or `STRETCH_S` and more."""
    looks_like: Form | None = None
    """What the samples are, if not what they were read as."""
    doubled: bool = False
    """Whether each sample comes twice."""


def hear(pcm: NDArray[np.float32], sample_rate: int, first_audible_sample: int | None) -> Hearing:
    """Return what is to be heard in ``pcm``: float32 mono, ``(samples,)``.

    A sample that is not a number or infinite counts as 0.
    """
    spectra = spectra_of(pcm, sample_rate)
    if spectra is None or first_audible_sample is None:
        return Hearing()
    numbers = bool(np.isfinite(pcm).all())
    return Hearing(
        audible_s=spectra.audible_s,
        flatness_db=spectra.mean_flatness_db,
        change_db=_change_db(spectra.bands),
        noise_s=_longest_noise_s(spectra),
        looks_like=misread_as(pcm, sample_rate, first_audible_sample) if numbers else None,
        doubled=numbers and doubled_samples(pcm),
    )


def unlike_speech(heard: Hearing, peak: float) -> str | None:
    """Return in one sentence why this is no speech; None where it may be, or too little to tell.

    ``peak`` is the audio's largest magnitude as a share of full scale.
    """
    if heard.looks_like is not None:
        return f"the audio is no speech: its samples look like {in_words(heard.looks_like)}"
    if not peak <= LARGEST:  # so also where it is no number
        return f"the audio is no speech: its samples go {peak:.0f} times beyond full scale"
    return None if heard.flatness_db is None else _noise(heard, heard.flatness_db)


def _noise(heard: Hearing, flatness_db: float) -> str | None:
    if heard.audible_s >= LEAST_NOISE_S and flatness_db > FLATTEST_DB:
        return f"the audio is noise and no speech (spectral flatness {flatness_db:.1f} dB)"
    change_db = heard.change_db if heard.audible_s >= LEAST_UNCHANGED_S else None
    if change_db is not None and change_db < LEAST_CHANGE_DB:
        return (
            "the audio is one unchanging sound and no speech "
            f"(its spectrum changes by {change_db:.1f} dB)"
        )
    if heard.noise_s > 0:
        return "a part of the audio is noise and no speech"
    return None


def _change_db(bands: NDArray[np.float64]) -> float | None:
    if len(bands) < 3:
        return None
    smooth = (bands[:-2] + bands[1:-1] + bands[2:]) / 3
    # What is 50 dB below the strongest band is not heard beside it.
    smooth = smooth + smooth.max(axis=1, keepdims=True) * 1e-5 + 1e-30
    shape = 10 * np.log10(smooth)
    shape -= shape.mean(axis=1, keepdims=True)
    low, high = np.quantile(shape, (0.15, 0.85), axis=0)
    return float(np.mean(high - low)) / 2.07  # of a normal distribution, its deviation


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
