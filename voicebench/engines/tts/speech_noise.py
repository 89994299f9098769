"""Noise in speech: drawn for a voice, and measured in what it speaks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Noise = Callable[[tuple[int, int]], NDArray[np.float32]]
    """Returns the next normal noise of the wanted shape (rows, columns)."""


def seeded_noise(seed: int, text: str) -> Noise:
    """Return noise that depends on ``seed`` and ``text`` alone, so a text always sounds the same.

    It depends neither on the device nor on how many rows are drawn at once.
    """
    digest = hashlib.blake2b(f"{seed}\0{text}".encode(errors="replace"), digest_size=8).digest()
    generator = np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))
    return lambda shape: generator.standard_normal(shape, np.float32)


def snr_db(exact: NDArray[np.float32], rough: NDArray[np.float32]) -> float:
    """Return the signal-to-noise ratio of ``rough`` against ``exact``, in dB; infinite if equal."""
    signal = np.square(exact, dtype=np.float64).sum()
    error = np.square(exact.astype(np.float64) - rough).sum()
    with np.errstate(divide="ignore", invalid="ignore"):  # no error: infinitely far above it
        return float(10 * np.log10(signal / error))
