"""What is said when a device has no memory left for a model that torch computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from voicebench.errors import EngineError

if TYPE_CHECKING:
    import torch


@contextmanager
def out_of_memory_told(device: torch.device) -> Iterator[None]:
    """Raise `EngineError` where torch runs out of memory on ``device``."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise EngineError(
            f"the model ran out of memory on {device}",
            "take a smaller model, a shorter prompt, or another device",
        ) from error
