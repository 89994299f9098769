"""A decoder's weights, read from safetensors: one file, or several with an index."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from voicebench.engines.llm.fast.model_shape import Shape
from voicebench.engines.models.tensor_file import FORMATS, TensorFile
from voicebench.errors import ModelError

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    Array = NDArray[Any]

_INDEX = "model.safetensors.index.json"


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """One layer. Matrices are ``(out, in)``; a bias or norm is None if the family has none.

    ``qkv`` are the matrices of queries, keys and values, ``gate_up`` those of gate and up. The
    biases of each group are one array.
    """

    input_norm: Array
    qkv: tuple[Array, ...]
    qkv_bias: Array | None
    query_norm: Array | None
    key_norm: Array | None
    output: Array
    output_bias: Array | None
    mlp_norm: Array
    gate_up: tuple[Array, ...]
    gate_up_bias: Array | None
    down: Array
    down_bias: Array | None


@dataclass(frozen=True, slots=True)
class Weights:
    """A decoder's weights as stored; ``head`` is ``embedding`` itself if they are tied."""

    embedding: Array
    layers: tuple[LayerWeights, ...]
    norm: Array
    head: Array

    @property
    def parameters(self) -> int:
        """The number of the model's parameters."""
        arrays = [self.embedding, self.norm]
        if self.head is not self.embedding:
            arrays.append(self.head)
        for layer in self.layers:
            for name in layer.__slots__:
                held = getattr(layer, name)
                arrays += held if isinstance(held, tuple) else [held] if held is not None else []
        return sum(array.size for array in arrays)


def read_weights(folder: Path, shape: Shape) -> Weights:
    """Return the weights of a model of ``shape`` in ``folder``, in the format they are stored in.

    Raises `ModelError` for a file that is cut short or not safetensors, and for a weight that is
    missing or has another size than in the config.
    """
    stored = _Stored(folder)
    hidden, query, kv = shape.hidden, shape.query_size, shape.kv_size
    layers = []
    for number in range(shape.layers):
        layer = f"model.layers.{number}."
        attention, mlp = layer + "self_attn.", layer + "mlp."
        qkv_sizes = {"q_proj": query, "k_proj": kv, "v_proj": kv}
        gate_up_sizes = {"gate_proj": shape.intermediate, "up_proj": shape.intermediate}
        layers.append(
            LayerWeights(
                input_norm=stored.take(layer + "input_layernorm.weight", hidden),
                qkv=stored.several(attention, qkv_sizes, hidden),
                qkv_bias=stored.biases(attention, qkv_sizes) if shape.qkv_bias else None,
                query_norm=stored.take(attention + "q_norm.weight", shape.head_size)
                if shape.query_key_norm
                else None,
                key_norm=stored.take(attention + "k_norm.weight", shape.head_size)
                if shape.query_key_norm
                else None,
                output=stored.take(attention + "o_proj.weight", hidden, query),
                output_bias=stored.take(attention + "o_proj.bias", hidden)
                if shape.output_bias
                else None,
                mlp_norm=stored.take(layer + "post_attention_layernorm.weight", hidden),
                gate_up=stored.several(mlp, gate_up_sizes, hidden),
                gate_up_bias=stored.biases(mlp, gate_up_sizes) if shape.mlp_bias else None,
                down=stored.take(mlp + "down_proj.weight", hidden, shape.intermediate),
                down_bias=stored.take(mlp + "down_proj.bias", hidden) if shape.mlp_bias else None,
            )
        )
    embedding = stored.take("model.embed_tokens.weight", shape.vocabulary, hidden)
    head = embedding
    if not shape.tied_embeddings:
        head = stored.take("lm_head.weight", shape.vocabulary, hidden)
    return Weights(embedding, tuple(layers), stored.take("model.norm.weight", hidden), head)


def as_tensor(array: Array) -> torch.Tensor:
    """Return ``array`` as a CPU tensor in the same memory."""
    import torch

    if array.dtype.name == "bfloat16":  # torch does not know numpy's type
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


class _Stored:
    """The arrays of a folder by name; size and number format are checked at access."""

    def __init__(self, folder: Path) -> None:
        files = [TensorFile(file) for file in _weight_files(folder)]
        self._files = {name: file for file in files for name in file.names}
        self._folder = folder

    def take(self, name: str, *size: int) -> Array:
        file = self._files.get(name)
        if file is None:
            raise ModelError(
                f"the model in {self._folder} lacks the weight {name}", "fetch it again"
            )
        if file.size(name) != size:
            raise ModelError(
                f"the weight {name} in {self._folder} has the size {file.size(name)}, and its "
                f"config.json asks for {size}",
                "fetch the model again",
            )
        if file.number_format(name) not in FORMATS:
            raise ModelError(
                f"the weight {name} in {self._folder} holds {file.number_format(name)}, no plain "
                "numbers",
                "take the model's unquantised weights",
            )
        return file.array(name)

    def several(self, prefix: str, rows: Mapping[str, int], columns: int) -> tuple[Array, ...]:
        """Return several matrices with the same input."""
        return tuple(
            self.take(f"{prefix}{name}.weight", size, columns) for name, size in rows.items()
        )

    def biases(self, prefix: str, rows: Mapping[str, int]) -> Array:
        """Return several biases as one array."""
        return np.concatenate(
            [self.take(f"{prefix}{name}.bias", size) for name, size in rows.items()]
        )


def _weight_files(folder: Path) -> Iterator[Path]:
    index = folder / _INDEX
    if not index.is_file():
        yield folder / "model.safetensors"
        return
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{index} is not an index of weights", "fetch the model again") from error
    for name in names:
        if not isinstance(name, str) or Path(name).name != name:
            raise ModelError(f"{index} names a file outside its folder", "fetch the model again")
        yield folder / name
