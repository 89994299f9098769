"""Pulses and the inverse STFT, in numpy and in C, against the formulas they are made of."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from voicebench.engines.tts.hibari.frame_network import FrameWaveform
from voicebench.engines.tts.hibari.native_waveform import NativeWaveform
from voicebench.engines.tts.hibari.sizes import BINS, FFT, HOP, PARTS, SAMPLE_RATE
from voicebench.engines.tts.hibari.spectrum import HIGHEST_HARMONIC, Pulses, Waveform


def test_the_pulses_are_the_harmonics_of_the_pitch() -> None:
    pitch = 203.0
    pulses = Pulses(np.full(4, pitch, np.float32)).next(4)
    turns = pitch * np.arange(1, 4 * HOP + 1) / SAMPLE_RATE
    harmonics = np.arange(1, int(HIGHEST_HARMONIC / pitch) + 1)
    wanted = np.cos(2 * np.pi * harmonics[:, None] * turns).sum(axis=0)
    assert np.allclose(pulses, wanted, atol=0.05)


def test_there_are_no_pulses_without_a_voice() -> None:
    assert not Pulses(np.full(3, 20, np.float32)).next(3).any()


def test_pulses_go_on_where_frames_were_left_out() -> None:
    pitch = np.linspace(100, 300, 12).astype(np.float32)
    whole, late = Pulses(pitch), Pulses(pitch)
    late.skip(5)
    assert np.allclose(whole.next(12)[5 * HOP :], late.next(7), atol=1e-4)


def parts_of(frames: int, seed: int = 0) -> NDArray[np.float32]:
    draws = np.random.default_rng(seed)
    return (draws.standard_normal((frames, PARTS * BINS)) - 2).astype(np.float32)


def drawn(frames: int) -> NDArray[np.float32]:
    return np.random.default_rng(1).standard_normal((frames, 2 * BINS), np.float32)


class Drawn:
    """Noise that was drawn before, row by row."""

    def __init__(self, rows: NDArray[np.float32]) -> None:
        self._rows = rows

    def __call__(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        taken, self._rows = self._rows[: shape[0]], self._rows[shape[0] :]
        return np.ascontiguousarray(taken)


def by_the_formula(
    parts: NDArray[np.float32], pitch: NDArray[np.float32], noise: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return the samples of all frames, computed at once and in float64."""
    frames = pitch.size
    window = np.hanning(FFT + 1)[:-1]
    pulses = np.pad(Pulses(pitch).next(frames).astype(float), FFT // 2, mode="reflect")
    h, t, n, r, p = np.split(parts.astype(float), PARTS, axis=1)
    samples, weights = np.zeros((frames + 3) * HOP), np.zeros((frames + 3) * HOP)
    for frame in range(frames):
        here = slice(frame * HOP, frame * HOP + FFT)
        excitation = np.fft.rfft(pulses[here] * window / (FFT / 4))
        z = noise[frame, ::2] + 1j * noise[frame, 1::2]
        spectrum = np.exp(np.minimum(h[frame], 7) + 1j * np.pi * np.tanh(t[frame])) * excitation
        spectrum += np.exp(np.minimum(n[frame], 7)) * z
        spectrum += np.exp(np.minimum(r[frame], 7) + 1j * p[frame])
        samples[here] += np.fft.irfft(spectrum, FFT) * window
        weights[here] += window**2
    whole = samples / np.maximum(weights, 1e-11)
    return whole[FFT // 2 : FFT // 2 + frames * HOP]


Begin = Callable[[NDArray[np.float32], Drawn, int], FrameWaveform]


@pytest.fixture(params=["numpy", "C"])
def begin(request: pytest.FixtureRequest, c_library_or_none: ctypes.CDLL | None) -> Begin:
    if request.param == "numpy":
        return Waveform
    if c_library_or_none is None:
        pytest.skip("there is no C compiler")
    library = c_library_or_none
    return lambda pitch, noise, first: NativeWaveform(library, pitch, noise, first)


@pytest.mark.parametrize("frames", [1, 2, 3, 23])
@pytest.mark.parametrize("window", [1, 2, 3, 7, 40])
def test_windows_of_any_size_give_the_samples_of_the_formula(
    begin: Begin, window: int, frames: int
) -> None:
    pitch = np.linspace(31, 247, frames).astype(np.float32)
    parts, noise = parts_of(frames), drawn(frames)
    waveform = begin(pitch, Drawn(noise), 0)
    samples = np.concatenate(
        [waveform.add(parts[start : start + window]) for start in range(0, frames, window)]
    )
    if frames > 2:
        wanted = by_the_formula(parts, pitch, noise)
    else:  # too short to be mirrored as numpy does it
        wanted = Waveform(pitch, Drawn(noise)).add(parts).astype(float)
    assert samples.shape == wanted.shape
    assert np.abs(samples - wanted).max() < 1e-4 * np.abs(wanted).max()


@pytest.mark.parametrize("first", [2, 6, 17])
def test_frames_left_out_at_the_beginning_change_nothing_behind_them(
    begin: Begin, first: int
) -> None:
    frames = 30
    pitch = np.linspace(90, 147, frames).astype(np.float32)
    parts, noise = parts_of(frames), drawn(frames)
    whole = begin(pitch, Drawn(noise), 0).add(parts)
    late = begin(pitch, Drawn(noise[first:]), first).add(parts[first:])
    settled = FFT // HOP * HOP
    assert np.allclose(whole[first * HOP + settled :], late[settled:], atol=1e-4)


@pytest.mark.parametrize("extreme", [-200.0, 50.0])
def test_c_limits_what_numpy_limits(c_library: ctypes.CDLL, extreme: float) -> None:
    frames = 9
    pitch, noise = np.full(frames, 133, np.float32), drawn(frames)
    parts = np.full((frames, PARTS * BINS), extreme, np.float32)
    wanted = Waveform(pitch, Drawn(noise)).add(parts)
    samples = NativeWaveform(c_library, pitch, Drawn(noise)).add(parts)
    assert np.abs(samples - wanted).max() <= 1e-3 * np.abs(wanted).max() + 1e-30


def test_c_gives_nothing_for_no_frames(c_library: ctypes.CDLL) -> None:
    waveform = NativeWaveform(c_library, np.full(5, 133, np.float32), Drawn(drawn(5)))
    assert waveform.add(parts_of(0)).size == 0
