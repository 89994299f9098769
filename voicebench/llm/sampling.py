"""From the model's scores for every id to the one id that is next."""

from __future__ import annotations

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

        top, likeliest = torch.max(logits, dim=-1)
        if not torch.isfinite(top):
            raise EngineError(
                "the model's scores are no finite numbers",
                "take another dtype: bfloat16 or float32",
            )
        if self._draws is None:
            return int(likeliest)
        chances = torch.softmax((logits.float() - top) / self._temperature, dim=-1)
        return int(torch.multinomial(chances, 1, generator=self._draws))
