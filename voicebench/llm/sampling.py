"""From the model's scores for every id to the one id that is next."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from voicebench.errors import EngineError

if TYPE_CHECKING:
    import torch


class Sampler:
    """Picks the next id: the likeliest (temperature 0), or one drawn by its likelihood.

    A sampler serves one reply. It draws from a generator of its own, seeded anew, so that a reply
    depends on its prompt and the seed and not on the replies before it.
    """

    def __init__(self, temperature: float, seed: int, device: torch.device) -> None:
        import torch

        self._temperature = temperature
        self._draws = torch.Generator(device).manual_seed(seed) if temperature > 0 else None

    def pick(self, logits: torch.Tensor) -> int:
        """Return the next id for ``logits`` of shape ``(vocabulary,)``; it is then on the host.

        Raises `EngineError` where the scores are no numbers, as after an overflow in float16.
        """
        import torch

        likeliest, top = _largest(logits)
        if not math.isfinite(top):
            raise EngineError(
                "the model's scores are no finite numbers", "take another precision: bf16 or fp32"
            )
        if self._draws is None:
            return likeliest
        chances = torch.softmax((logits.float() - top) / self._temperature, dim=-1)
        return int(torch.multinomial(chances, 1, generator=self._draws))


def _largest(logits: torch.Tensor) -> tuple[int, float]:
    """Return where the largest score stands, and the score; a score that is no number is largest.

    On a CPU numpy looks for it, in this thread: torch would wake its other threads, which then
    stay busy for a while and take a core from the next token.
    """
    import torch

    if logits.device.type == "cpu" and logits.dtype == torch.float32:
        scores = logits.numpy()
        place = int(scores.argmax())
        return place, float(scores[place])
    top, likeliest = torch.max(logits, dim=-1)
    return int(likeliest), float(top)
