"""Sounds that are not words: a cough, "mhm", a door, and babble. All are computed.

They need no recordings and are the same every time. They are rough likenesses: they have the
length, the band and the course of loudness of the real sounds, which is what the ears of an agent
decide by.

* **cough**: two bursts of noise between 300 and 4000 Hz, 0.14 and 0.18 s long. Each begins within
  5 ms and dies away.
* **mhm**: a hum with the mouth closed, two syllables of 0.18 s around 130 Hz, overtones falling by
  12 dB an octave, the second one higher.
* **door**: a thump at 70 Hz that dies away in 0.2 s, and the click of a latch before it.
* **babble**: six synthetic voices at once, each at a pitch and a moment of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from voicebench.audio.synthetic_voice import synthetic_voice

if TYPE_CHECKING:
    from numpy.typing import NDArray

PEAK = 0.3
_SEED = 20
_VOICES = 6


def noise_named(name: str, sample_rate: int) -> NDArray[np.float32]:
    """Return a sound of `NOISES` that has an end: float32 mono, at most `PEAK`."""
    return _scaled(NOISES[name](sample_rate, None))


def background(name: str, samples: int, sample_rate: int) -> NDArray[np.float32]:
    """Return ``samples`` samples of a sound of `NOISES`, repeated with pauses if it has an end."""
    sound = _scaled(NOISES[name](sample_rate, samples))
    if sound.size >= samples:
        return sound[:samples]
    return np.resize(np.concatenate((sound, np.zeros_like(sound))), samples)


def mixed(
    speech: NDArray[np.float32], noise: NDArray[np.float32], snr_db: float
) -> NDArray[np.float32]:
    """Return both together, the noise ``snr_db`` below the speech in mean power. Nothing clips."""
    powers = [float(np.mean(np.square(one, dtype=np.float64))) for one in (speech, noise)]
    if not all(powers):
        return speech
    gain = np.sqrt(powers[0] / powers[1] / 10 ** (snr_db / 10))
    together = speech + noise * gain
    loudest = max(1.0, float(np.max(np.abs(together))))
    return np.asarray(together / loudest, dtype=np.float32)


def _cough(sample_rate: int, _samples: int | None) -> NDArray[np.float32]:
    bursts = [_burst(length_s, sample_rate, _SEED + n) for n, length_s in enumerate((0.14, 0.18))]
    gap = np.zeros(round(0.09 * sample_rate), dtype=np.float32)
    return np.concatenate((bursts[0], gap, 0.8 * bursts[1])).astype(np.float32)


def _burst(length_s: float, sample_rate: int, seed: int) -> NDArray[np.float32]:
    samples = round(length_s * sample_rate)
    moments = np.arange(samples) / sample_rate
    white = np.random.default_rng(seed).standard_normal(samples)
    spectrum = np.fft.rfft(white)
    hertz = np.fft.rfftfreq(samples, 1 / sample_rate)
    spectrum[(hertz < 300) | (hertz > 4000)] = 0
    shape = np.minimum(moments / 0.005, 1) * np.exp(-moments / (length_s / 3))
    return np.asarray(np.fft.irfft(spectrum, samples) * shape, dtype=np.float32)


def _mhm(sample_rate: int, _samples: int | None) -> NDArray[np.float32]:
    syllables = []
    for hertz in (120.0, 145.0):
        moments = np.arange(round(0.18 * sample_rate)) / sample_rate
        hum = sum(np.sin(2 * np.pi * n * hertz * moments) / n**2 for n in range(1, 9))
        syllables.append(hum * np.sin(np.pi * moments / 0.18) ** 0.5)
    gap = np.zeros(round(0.03 * sample_rate))
    return np.concatenate((syllables[0], gap, syllables[1])).astype(np.float32)


def _door(sample_rate: int, _samples: int | None) -> NDArray[np.float32]:
    moments = np.arange(round(0.35 * sample_rate)) / sample_rate
    thump = np.sin(2 * np.pi * 70 * moments) * np.exp(-moments / 0.07)
    thump += 0.5 * np.sin(2 * np.pi * 160 * moments) * np.exp(-moments / 0.05)
    click = _burst(0.03, sample_rate, _SEED + 9)
    gap = np.zeros(round(0.08 * sample_rate))
    return np.concatenate((0.6 * _scaled(click), gap, _scaled(thump))).astype(np.float32)


def _babble(sample_rate: int, samples: int | None) -> NDArray[np.float32]:
    length = samples or 2 * sample_rate
    total = np.zeros(length)
    for voice in range(_VOICES):
        # The same voice, played faster or slower, is a voice of another pitch.
        rate = round(sample_rate * (0.75 + 0.12 * voice))
        spoken = synthetic_voice(length + voice * sample_rate // 7, rate)
        total += spoken[-length:]
    return total.astype(np.float32)


def _scaled(sound: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.asarray(sound * (PEAK / np.max(np.abs(sound))), dtype=np.float32)


NOISES: Mapping[str, Callable[[int, int | None], NDArray[np.float32]]] = {
    "cough": _cough,
    "mhm": _mhm,
    "door": _door,
    "babble": _babble,
}
"""Each takes the sample rate in Hz and how many samples are wanted, if the sound has no end."""
