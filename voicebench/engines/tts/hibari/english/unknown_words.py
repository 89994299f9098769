"""How a word sounds that the lexicon does not have: a small transformer over its letters.

The network (0.65 M parameters) is data of hibari-tts 0.2.1. It gives four phonemes or blanks for
each letter; repeated ones are one, and blanks are left out (CTC, Graves et al. 2006).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebench.engines.tts.hibari.onnx_weights import Weights

_HEADS = 4
_PER_LETTER = 4
_EPSILON = 1e-5


class UnknownWords:
    """Reads words letter by letter."""

    def __init__(self, weights: Weights, letters: str, phonemes: str) -> None:
        """Take the network's weights, and its letters and phonemes in their order in it."""
        self._weights = weights
        self._numbers = {letter: number for number, letter in enumerate(letters, 1)}
        self._phonemes = phonemes
        self._longest = weights["m.pos"].shape[0]
        self._layers = sum(name.endswith(".norm1.weight") for name in weights)

    def phonemes(self, word: str) -> str:
        """Return the phonemes of ``word``; empty if it has no letter that the network knows."""
        numbers = [self._numbers[letter] for letter in word if letter in self._numbers]
        if not numbers:
            return ""
        best = self._scores(numbers[: self._longest]).argmax(axis=1)
        kept = best[np.flatnonzero(np.diff(best, prepend=0))]
        return "".join(self._phonemes[number - 1] for number in kept if number)

    def _scores(self, numbers: list[int]) -> NDArray[np.float32]:
        """Return (4 * letters, phonemes and a blank at 0)."""
        weights = self._weights
        rows = weights["m.emb.weight"][numbers] + weights["m.pos"][: len(numbers)]
        for layer in range(self._layers):
            name = f"m.layers.{layer}"
            rows = rows + self._attention(self._normalised(rows, f"{name}.norm1"), name)
            hidden = self._product(self._normalised(rows, f"{name}.norm2"), f"{name}.linear1")
            rows = rows + self._product(_gelu(hidden), f"{name}.linear2")
        scores = self._product(self._normalised(rows, "m.norm"), "m.head")
        return scores.reshape(len(numbers) * _PER_LETTER, -1)

    def _attention(self, rows: NDArray[np.float32], name: str) -> NDArray[np.float32]:
        weights, (count, channels) = self._weights, rows.shape
        joint = rows @ weights[f"{name}.self_attn.in_proj_weight"]
        joint = (joint + weights[f"{name}.self_attn.in_proj_bias"]).reshape(count, 3, _HEADS, -1)
        query, key, value = joint.transpose(1, 2, 0, 3)
        scores = query @ key.transpose(0, 2, 1) / np.float32(np.sqrt(channels / _HEADS))
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        shares /= shares.sum(axis=-1, keepdims=True)
        read = (shares @ value).transpose(1, 0, 2).reshape(count, channels)
        return self._product(read, f"{name}.self_attn.out_proj")

    def _product(self, rows: NDArray[np.float32], name: str) -> NDArray[np.float32]:
        product: NDArray[np.float32] = rows @ self._weights[f"{name}.weight"]
        return product + self._weights[f"{name}.bias"]

    def _normalised(self, rows: NDArray[np.float32], name: str) -> NDArray[np.float32]:
        centred = rows - rows.mean(axis=1, keepdims=True)
        scale = np.sqrt((centred * centred).mean(axis=1, keepdims=True) + np.float32(_EPSILON))
        gain, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        normalised: NDArray[np.float32] = centred / scale * gain + bias
        return normalised


def _gelu(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return x times the share of a normal distribution below it.

    The error function is formula 7.1.26 of Abramowitz and Stegun, within 1.5e-7.
    """
    size = np.abs(rows) * np.float32(np.sqrt(0.5))
    t = 1 / (1 + np.float32(0.3275911) * size)
    tail = np.polyval(
        np.array([1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592, 0], "f4"), t
    )
    below = np.float32(0.5) * tail * np.exp(-size * size)
    shares: NDArray[np.float32] = np.where(rows < 0, below, 1 - below)
    return rows * shares
