"""From the names that weights have in a file to the names that they have in our network.

A family of voices is a table of names: each row is a pattern and what it becomes, and a name of
ours goes through all rows. The network says which weights it needs and in which shapes; the table
says where each is found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from voicebench.engines.tts.vits.network import Vits
from voicebench.engines.tts.vits.voice_shape import VitsShape
from voicebench.errors import ModelError

Names = Sequence[tuple[str, str | Callable[[re.Match[str]], str]]]
"""Rows (pattern, replacement), applied one after another."""

_JOINT = ".joint."
"""Query, key and value of attention are one weight here, and three (q, k, v) in every file."""


def collect(
    source: Path, shape: VitsShape, names: Names, get: Callable[[str], Tensor]
) -> dict[str, Tensor]:
    """Return all weights of a network of ``shape``, float32, by our names.

    ``get`` returns the tensor that has a name in the file. Dimensions of size 1 may differ: a
    convolution over one symbol is a linear layer. Raises `ModelError` where a weight is missing,
    has another shape, or is not finite.
    """
    with torch.device("meta"):
        network = Vits(shape)
    modules = dict(network.named_modules())
    weights = {}
    for name, kept in network.state_dict().items():
        owner, _, field = name.rpartition(".")
        arranged = getattr(modules[owner], "arranged", None) if field == "weight" else None
        wanted = modules[owner].trained_shape if arranged else tuple(kept.shape)
        if _JOINT in name:
            parts = [get(_translate(name.replace(_JOINT, f".{part}."), names)) for part in "qkv"]
            found = torch.cat(parts)
        else:
            found = get(_translate(name, names))
        if [d for d in found.shape if d > 1] != [d for d in wanted if d > 1]:
            raise ModelError(
                f"{source} is no voice of a known kind: {name} has the shape "
                f"{tuple(found.shape)}, not {wanted}"
            )
        if not bool(torch.isfinite(found).all()):
            raise ModelError(f"{source} is damaged: {name} holds numbers that are not finite")
        found = found.to(torch.float32).reshape(wanted)
        weights[name] = (arranged(found) if arranged else found).contiguous().clone()
    return weights


def _translate(name: str, names: Names) -> str:
    for pattern, replacement in names:
        name = re.sub(pattern, replacement, name)
    return name
