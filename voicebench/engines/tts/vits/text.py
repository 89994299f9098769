"""The text encoder: a transformer over the symbols, run once for an utterance."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from voicebench.engines.tts.vits.layers import SymbolConvolution
from voicebench.engines.tts.vits.voice_shape import TextShape, VitsShape


class Attention(nn.Module):
    """Self-attention with learned embeddings of near relative positions.

    For symbols at most ``reach`` apart, the score gains the query times an embedding of their
    distance, and the result gains the attention times a second embedding. In a matrix of scores
    with ``reach`` spare columns on either side, these pairs are a band whose rows each start one
    element further right: a strided view.
    """

    def __init__(self, shape: TextShape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.reach = shape.reach
        width = shape.channels // shape.heads
        self.joint = nn.Linear(shape.channels, 3 * shape.channels)
        self.output = nn.Linear(shape.channels, shape.channels)
        self.near_keys = nn.Parameter(torch.empty(2 * shape.reach + 1, width))
        self.near_values = nn.Parameter(torch.empty(2 * shape.reach + 1, width))

    def forward(self, rows: Tensor) -> Tensor:
        """Return ``rows`` (symbols, channels) after attention, without the residual."""
        count, channels = rows.shape
        split = self.joint(rows).view(count, 3, self.heads, channels // self.heads)
        query, key, value = split.permute(1, 2, 0, 3)
        query = query / math.sqrt(channels // self.heads)
        wide = rows.new_zeros(self.heads, count, count + 2 * self.reach)
        inner = wide[:, :, self.reach : self.reach + count]
        inner.copy_(torch.matmul(query, key.transpose(1, 2)))
        self._band(wide).add_(torch.matmul(query, self.near_keys.t()))
        weights = torch.zeros_like(wide)
        near = weights[:, :, self.reach : self.reach + count]
        near.copy_(torch.softmax(inner, dim=-1))
        read = torch.matmul(near, value) + torch.matmul(self._band(weights), self.near_values)
        mixed: Tensor = self.output(read.transpose(0, 1).reshape(count, channels))
        return mixed

    def _band(self, wide: Tensor) -> Tensor:
        """Return the view (heads, symbols, 2 × reach + 1) of the near pairs."""
        heads, count, columns = wide.shape
        shape = (heads, count, 2 * self.reach + 1)
        return wide.as_strided(shape, (count * columns, columns + 1, 1))


class EncoderLayer(nn.Module):
    """Attention, then two convolutions with a ReLU between them; each with residual and norm."""

    def __init__(self, shape: TextShape, norm_eps: float) -> None:
        super().__init__()
        self.attention = Attention(shape)
        self.attention_norm = nn.LayerNorm(shape.channels, eps=norm_eps)
        self.widen = SymbolConvolution(shape.channels, shape.feed_channels, shape.kernel)
        self.narrow = SymbolConvolution(shape.feed_channels, shape.channels, shape.kernel)
        self.feed_norm = nn.LayerNorm(shape.channels, eps=norm_eps)

    def forward(self, rows: Tensor) -> Tensor:
        """Return the next layer's input (symbols, channels)."""
        rows = self.attention_norm(rows + self.attention(rows))
        fed: Tensor = self.feed_norm(rows + self.narrow(torch.relu_(self.widen(rows))))
        return fed


class TextEncoder(nn.Module):
    """Symbols to hidden rows, and to mean and log scale of the prior of each symbol."""

    def __init__(self, shape: VitsShape) -> None:
        super().__init__()
        text = shape.text
        self.embedding = nn.Parameter(torch.empty(text.symbols, text.channels))
        self.layers = nn.ModuleList(EncoderLayer(text, shape.norm_eps) for _ in range(text.layers))
        self.project = nn.Linear(text.channels, 2 * shape.flow.channels)

    def forward(self, symbols: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return hidden (n, channels), mean and log scale (n, flow channels) of n symbol ids."""
        rows = self.embedding[symbols] * math.sqrt(self.embedding.shape[1])
        for layer in self.layers:
            rows = layer(rows)
        mean, log_scale = self.project(rows).chunk(2, dim=1)
        return rows, mean, log_scale
