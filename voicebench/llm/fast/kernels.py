"""Products of activations with a fixed matrix, as torch offers them.

A token's time is the time to read the weights, so the narrower they are stored the faster it is;
which of torch's products reads them fastest differs by processor and release. Here is every private
operator of torch that this engine uses, each behind one small class, each with a check that it
exists here and computes what it should. `LinearKind` names a way of storing weights; the plain ones
exist everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

Linear = Callable[["torch.Tensor"], "torch.Tensor"]
"""Take activations ``(count, in)`` and return ``(count, out)``, in the same dtype."""


@dataclass(frozen=True)
class LinearKind:
    """A way to store a matrix and multiply by it.

    ``prepare(weight, bias)`` gets a float32 matrix ``(out, in)`` on the device that computes, and
    returns its product. ``activations`` is the dtype of what goes in and comes out.
    """

    name: str
    activations: torch.dtype
    prepare: Callable[[torch.Tensor, torch.Tensor | None], Linear]


def plain(dtype: torch.dtype) -> LinearKind:
    """Return the kind that stores weights as they are, as ``dtype``; every device has it."""
    import torch

    def prepare(weight: torch.Tensor, bias: torch.Tensor | None) -> Linear:
        stored = weight.to(dtype).contiguous()
        added = None if bias is None else bias.to(dtype)
        return lambda activations: torch.nn.functional.linear(activations, stored, added)

    return LinearKind(str(dtype).removeprefix("torch."), dtype, prepare)
