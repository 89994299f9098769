"""From arrays, as weights are read, to the tensors that torch computes with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

    from voicebench.engines.llm.fast.decoder_weights import Array


def as_tensor(array: Array) -> torch.Tensor:
    """Return ``array`` as a tensor of the same numbers, in the same memory, on the CPU."""
    import torch

    if array.dtype.name == "bfloat16":  # numpy's is a type of its own, which torch does not know
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)
