"""Pick the next id by the model's scores."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from voicebench.errors import EngineError

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray


class Sampler:
    """Picks the next id: the likeliest (temperature 0), or a random one by its likelihood.

    Each reply has its own sampler with a newly seeded generator, so a reply depends only on its
    prompt and the seed.
    """

    def __init__(self, temperature: float, seed: int) -> None:
        self._temperature = temperature
        self._draws = np.random.default_rng(seed) if temperature > 0 else None

    def pick(self, scores: NDArray[np.float32]) -> int:
        """Return the next id for ``scores`` of shape ``(vocabulary,)``.

        Raises `EngineError` if the scores are not finite, as after an overflow in float16.
        """
        likeliest = int(scores.argmax())
        top = float(scores[likeliest])
        _check(top)
        if self._draws is None:
            return likeliest
        chances = np.exp((scores.astype(np.float64) - top) / self._temperature).cumsum()
        return int(np.searchsorted(chances, self._draws.random() * chances[-1], side="right"))


class TensorSampler:
    """A `Sampler` for scores in a tensor, on any device.

    A GPU finds the likeliest id itself. Otherwise numpy picks the id on the host: so the same seed
    gives the same reply on every device. On a CPU, torch would also wake its other threads, which
    stay busy for a while and take a core from the next token.
    """

    def __init__(self, temperature: float, seed: int) -> None:
        self._draws = temperature > 0
        self._on_host = Sampler(temperature, seed)

    def pick(self, scores: torch.Tensor) -> int:
        """Return the next id for ``scores`` of shape ``(vocabulary,)``.

        Raises as `Sampler.pick`.
        """
        import torch

        if self._draws or scores.device.type == "cpu":
            return self._on_host.pick(scores.float().cpu().numpy())
        top, likeliest = torch.max(scores, dim=-1)
        _check(float(top))
        return int(likeliest)


def _check(top: float) -> None:
    if not math.isfinite(top):
        raise EngineError(
            "the model's scores are not finite numbers", "take another precision: bf16 or fp32"
        )
