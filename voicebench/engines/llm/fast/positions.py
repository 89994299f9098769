"""Which way each position turns a query or key: the tables of the rotary embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voicebench.engines.llm.fast.model_shape import Shape, inverse_frequencies

if TYPE_CHECKING:
    from numpy.typing import NDArray


def rotary_tables(shape: Shape, positions: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return cosine and signed sine, each float32 of shape ``(positions, head_size)``.

    A vector ``x`` of one head at a position becomes ``x * cosine + swapped(x) * sine``, where
    ``swapped`` exchanges its halves; the sine is negative in its first half. This is the
    arrangement of Llama's weights as transformers stores them: pair ``i`` is ``(i, i + half)``.
    """
    frequencies = np.array(inverse_frequencies(shape.rope, shape.head_size), np.float32)
    angles = np.outer(np.arange(positions, dtype=np.float32), frequencies)
    cosine, sine = np.cos(angles), np.sin(angles)
    return np.concatenate((cosine, cosine), axis=1), np.concatenate((-sine, sine), axis=1)
