"""Damage that happens to speech in practice and leaves it speech."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av
import numpy as np
from scipy import linalg, signal

from benchmarks.hearing.speech import Samples, read
from voicebench.audio.encodings import PcmEncoding, decode_pcm

Harm = Callable[[Samples, int, np.random.Generator], tuple[Samples, int]]

MUSIC = Path("/usr/share/asterisk/moh")


def scaled(pcm: Samples, largest: float = 0.5) -> Samples:
    """Return ``pcm`` with this peak."""
    return pcm * (largest / max(float(np.abs(pcm).max()), 1e-9))


def level(pcm: Samples) -> float:
    """Return the RMS of the parts that are not silent."""
    loud = pcm[np.abs(pcm) > np.abs(pcm).max() / 20]
    return float(np.sqrt(np.mean(loud**2))) if loud.size else 1e-9


def with_noise(pcm: Samples, noise: Samples, ratio_db: float) -> Samples:
    """Return speech over noise that is so many dB below it."""
    return scaled(pcm + noise * (level(pcm) / noise.std() * 10 ** (-ratio_db / 20)), 0.9)


def colored(samples: int, slope: float, drawn: np.random.Generator) -> Samples:
    """Return noise whose power falls with the frequency by ``slope``: 0 white, 1 pink, 2 brown."""
    spectrum = np.fft.rfft(drawn.standard_normal(samples))
    lines = np.maximum(np.arange(spectrum.size), max(1, samples // 1000))
    return np.fft.irfft(spectrum * lines ** (-slope / 2), samples)


@cache
def _music() -> list[Samples]:
    paths = sorted(MUSIC.glob("*.g722")) if MUSIC.is_dir() else []
    return [read(path, "g722")[0][: 60 * 16_000] for path in paths]


def music(samples: int, rate: int, drawn: np.random.Generator) -> Samples:
    """Return a stretch of music; a chord where no music is installed."""
    if not _music():
        at = np.arange(samples) / rate
        chord = [np.sin(2 * np.pi * hertz * at) for hertz in (220, 277.2, 329.6, 440)]
        return np.asarray(np.sum(chord, axis=0))
    piece = _music()[drawn.integers(len(_music()))]
    piece = piece[drawn.integers(0, piece.size // 2) :]
    stretch = np.resize(piece, samples * 16_000 // rate + 16)
    return np.asarray(signal.resample_poly(stretch, rate, 16_000)[:samples])


def whispered(pcm: Samples, rate: int, drawn: np.random.Generator) -> Samples:
    """Return the speech without its voice: its formants (linear prediction) filter noise."""
    width = int(0.03 * rate) // 2 * 2
    window = np.hanning(width)
    order = min(10 + rate // 1000, 30)
    out = np.zeros(pcm.size + width)
    for begin in range(0, pcm.size - width, width // 2):
        frame = pcm[begin : begin + width] * window
        lags = np.correlate(frame, frame, "full")[width - 1 : width + order]
        if lags[0] < 1e-9:
            continue
        lags[0] *= 1.0001
        past = linalg.solve_toeplitz(lags[:-1], lags[1:])
        power = max(float(lags[0] - past @ lags[1:]), 0.0) / width
        breath = drawn.standard_normal(width) * np.sqrt(2 * power)
        filtered = signal.lfilter([1.0], np.r_[1.0, -past], breath)
        out[begin : begin + width] += filtered * window
    return scaled(out[: pcm.size], 0.4)


def at_8_khz(pcm: Samples, rate: int) -> Samples:
    """Return the speech at the telephone's rate."""
    return pcm if rate == 8000 else signal.resample_poly(pcm, 8000, rate)


def companded(pcm: Samples, encoding: PcmEncoding) -> Samples:
    """Return ``pcm`` after µ-law or A-law."""
    levels = np.sort(decode_pcm(bytes(range(256)), encoding).astype(np.float64))
    return levels[np.searchsorted((levels[1:] + levels[:-1]) / 2, pcm)]


def telephone(pcm: Samples, rate: int, encoding: PcmEncoding = "mulaw") -> tuple[Samples, int]:
    """Return the speech as a telephone carries it: 300 to 3400 Hz."""
    band = signal.butter(4, [300, 3400], "bandpass", fs=8000, output="sos")
    return companded(scaled(signal.sosfilt(band, at_8_khz(pcm, rate))), encoding), 8000


@dataclass(frozen=True)
class Codec:
    """A codec in its container; ``kbits`` 0: what it takes, ``rate``: that of its sound."""

    container: str
    name: str
    kbits: int
    rate: int


def encoded(pcm: Samples, rate: int, codec: Codec) -> bytes:
    """Return ``pcm`` compressed."""
    out = io.BytesIO()
    with av.open(out, "w", format=codec.container) as file:
        stream = file.add_stream(codec.name, rate=codec.rate, layout="mono")
        assert isinstance(stream, av.AudioStream)
        if codec.kbits:
            stream.bit_rate = 1000 * codec.kbits
        frame = av.AudioFrame.from_ndarray(
            pcm.astype(np.float32)[None, :].copy(), format="flt", layout="mono"
        )
        frame.sample_rate = rate
        fitting = av.AudioResampler(stream.format, "mono", codec.rate, stream.frame_size or 1024)
        for piece in [*fitting.resample(frame), *fitting.resample(None), None]:
            for packet in stream.encode(piece):
                if packet.size:
                    file.mux(packet)
    return out.getvalue()


def compressed(pcm: Samples, rate: int, codec: Codec) -> tuple[Samples, int]:
    """Return ``pcm`` after a codec."""
    with av.open(io.BytesIO(encoded(scaled(pcm), rate, codec)), "r") as file:
        frames = [frame.to_ndarray().reshape(-1) for frame in file.decode(audio=0)]
    joined = np.concatenate(frames).astype(np.float64)
    return (joined / 32768 if np.abs(joined).max() > 8 else joined), codec.rate


def echoing(pcm: Samples, rate: int, drawn: np.random.Generator) -> Samples:
    """Return the speech in a room of 0.8 s of reverberation."""
    room = drawn.standard_normal(int(0.6 * rate)) * np.exp(-np.arange(int(0.6 * rate)) / rate * 8.6)
    room[0] += 8
    return scaled(signal.fftconvolve(pcm, room)[: pcm.size])


def begun(pcm: Samples, rate: int, seconds: float) -> tuple[Samples, int]:
    """Return the first seconds of the speech."""
    onset = int(np.argmax(np.abs(pcm) > np.abs(pcm).max() / 10))
    return pcm[onset : onset + int(seconds * rate)], rate


HARMS: dict[str, Harm] = {
    "as it is": lambda pcm, rate, _: (pcm, rate),
    "its first 0.4 s": lambda pcm, rate, _: begun(pcm, rate, 0.4),
    "30 dB more quiet": lambda pcm, rate, _: (scaled(pcm, 0.04), rate),
    "clipped by 12 dB": lambda pcm, rate, _: (np.clip(scaled(pcm, 4), -1, 1), rate),
    "clipped by 30 dB": lambda pcm, rate, _: (np.clip(scaled(pcm, 30), -1, 1), rate),
    "in 8 bits": lambda pcm, rate, _: (np.rint(scaled(pcm, 0.9) * 127) / 128, rate),
    "telephone, µ-law": lambda pcm, rate, _: telephone(pcm, rate),
    "telephone, A-law": lambda pcm, rate, _: telephone(pcm, rate, "alaw"),
    "whispered": lambda pcm, rate, drawn: (whispered(scaled(pcm), rate, drawn), rate),
    "whispered at 8 kHz": lambda pcm, rate, drawn: (
        whispered(scaled(at_8_khz(pcm, rate)), 8000, drawn),
        8000,
    ),
    "music 10 dB below": lambda pcm, rate, drawn: (
        with_noise(pcm, music(pcm.size, rate, drawn), 10),
        rate,
    ),
    "music as loud": lambda pcm, rate, drawn: (
        with_noise(pcm, music(pcm.size, rate, drawn), 0),
        rate,
    ),
    "white noise 20 dB below": lambda pcm, rate, drawn: (
        with_noise(pcm, colored(pcm.size, 0, drawn), 20),
        rate,
    ),
    "white noise 10 dB below": lambda pcm, rate, drawn: (
        with_noise(pcm, colored(pcm.size, 0, drawn), 10),
        rate,
    ),
    "pink noise 10 dB below": lambda pcm, rate, drawn: (
        with_noise(pcm, colored(pcm.size, 1, drawn), 10),
        rate,
    ),
    "in an echoing room": lambda pcm, rate, drawn: (echoing(pcm, rate, drawn), rate),
    "MP3, 32 kbit/s": lambda pcm, rate, _: compressed(
        pcm, rate, Codec("mp3", "libmp3lame", 32, 24_000)
    ),
    "Opus, 12 kbit/s": lambda pcm, rate, _: compressed(
        pcm, rate, Codec("ogg", "libopus", 12, 48_000)
    ),
    "at 48 kHz": lambda pcm, rate, _: (scaled(signal.resample_poly(pcm, 48_000, rate)), 48_000),
    "each sample doubled": lambda pcm, rate, _: (np.repeat(pcm, 2), 2 * rate),
    "twice as fast": lambda pcm, rate, _: (pcm, 2 * rate),
    "at 0.6 of its pace": lambda pcm, rate, _: (pcm, int(0.6 * rate)),
}
"""What is tried, by name: samples and rate before, samples and rate after."""

BEYOND: dict[str, Harm] = {
    "white noise 5 dB below": lambda pcm, rate, drawn: (
        with_noise(pcm, colored(pcm.size, 0, drawn), 5),
        rate,
    ),
    "white noise as loud": lambda pcm, rate, drawn: (
        with_noise(pcm, colored(pcm.size, 0, drawn), 0),
        rate,
    ),
    "pink noise as loud": lambda pcm, rate, drawn: (
        with_noise(pcm, colored(pcm.size, 1, drawn), 0),
        rate,
    ),
}
"""Speech under loud noise: no voice assistant sounds like this, and the check may fail it."""
