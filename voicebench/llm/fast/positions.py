"""Which way each position turns a query or key: the tables of the rotary embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebench.llm.fast.shape import Shape, inverse_frequencies

if TYPE_CHECKING:
    import torch


def rotary_tables(shape: Shape, positions: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return cosine and signed sine, each float32 of shape ``(positions, head_size)``.

    A vector ``x`` of one head at a position becomes ``x * cosine + swapped(x) * sine``, where
    ``swapped`` exchanges its halves; the sine is negative in its first half. This is the
    arrangement of Llama's weights as transformers stores them: pair ``i`` is ``(i, i + half)``.
    """
    import torch

    frequencies = torch.tensor(inverse_frequencies(shape.rope, shape.head_size))
    angles = torch.outer(torch.arange(positions, dtype=torch.float32), frequencies)
    cosine, sine = angles.cos(), angles.sin()
    return torch.cat((cosine, cosine), dim=1), torch.cat((-sine, sine), dim=1)
