"""From the model's scores for every id to the one id that is next."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from voicebench.errors import EngineError

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray


class Sampler:
    """Picks the next id: the likeliest (temperature 0), or one drawn by its likelihood.

    A sampler serves one reply. It draws from a generator of its own, seeded anew, so that a reply
    depends on its prompt and the seed and not on the replies before it.
    """

    def __init__(self, temperature: float, seed: int) -> None:
        self._temperature = temperature
        self._draws = np.random.default_rng(seed) if temperature > 0 else None

    def pick(self, scores: NDArray[np.float32]) -> int:
        """Return the next id for ``scores`` of shape ``(vocabulary,)``.

        Raises `EngineError` where the scores are no numbers, as after an overflow in float16.
        """
        likeliest = int(scores.argmax())
        top = float(scores[likeliest])
        _check(top)
        if self._draws is None:
            return likeliest
        chances = np.exp((scores.astype(np.float64) - top) / self._temperature).cumsum()
        return int(np.searchsorted(chances, self._draws.random() * chances[-1], side="right"))


class TensorSampler:
    """A `Sampler` for scores that are a tensor, on whatever device.

    The likeliest id is looked for on a GPU itself. All else goes to the host: the same seed draws
    the same reply on every device, and on a CPU numpy looks in this thread, where torch would wake
    its other threads, which then stay busy for a while and take a core from the next token.
    """

    def __init__(self, temperature: float, seed: int) -> None:
        self._draws = temperature > 0
        self._on_host = Sampler(temperature, seed)

    def pick(self, scores: torch.Tensor) -> int:
        """Return the next id for ``scores`` of shape ``(vocabulary,)``; it is then on the host.

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
            "the model's scores are no finite numbers", "take another precision: bf16 or fp32"
        )
