"""The error of a device without memory for a language model in torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from voicebench.errors import EngineError

if TYPE_CHECKING:
    import torch


@contextmanager
def memory_errors(device: torch.device) -> Iterator[None]:
    """Turn torch's out-of-memory error on ``device`` into `EngineError`."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise EngineError(
            f"the model ran out of memory on {device}",
            "take a smaller model, a shorter prompt, or another device",
        ) from error
