"""The weights of a decoder, read from safetensors: one file, or several with an index."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from voicebench.errors import ModelError
from voicebench.llm.fast.shape import Shape

if TYPE_CHECKING:
    import torch

_PLAIN_NUMBERS = ("torch.float32", "torch.float16", "torch.bfloat16", "torch.float64")
_INDEX = "model.safetensors.index.json"


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """One layer. Matrices are ``(out, in)``; a bias or norm that the family does not have is None.

    ``qkv`` are the matrices of queries, keys and values, ``gate_up`` those of gate and up; their
    biases are joined.
    """

    input_norm: torch.Tensor
    qkv: tuple[torch.Tensor, ...]
    qkv_bias: torch.Tensor | None
    query_norm: torch.Tensor | None
    key_norm: torch.Tensor | None
    output: torch.Tensor
    output_bias: torch.Tensor | None
    mlp_norm: torch.Tensor
    gate_up: tuple[torch.Tensor, ...]
    gate_up_bias: torch.Tensor | None
    down: torch.Tensor
    down_bias: torch.Tensor | None


@dataclass(frozen=True, slots=True)
class Weights:
    """A decoder's weights as they are stored; ``head`` is ``embedding`` itself where tied."""

    embedding: torch.Tensor
    layers: tuple[LayerWeights, ...]
    norm: torch.Tensor
    head: torch.Tensor

    @property
    def parameters(self) -> int:
        """How many numbers the model has learnt."""
        tensors = [self.embedding, self.norm]
        if self.head is not self.embedding:
            tensors.append(self.head)
        for layer in self.layers:
            for name in layer.__slots__:
                held = getattr(layer, name)
                tensors += held if isinstance(held, tuple) else [held] if held is not None else []
        return sum(tensor.numel() for tensor in tensors)


def read_weights(folder: Path, shape: Shape) -> Weights:
    """Read the weights of a model of ``shape`` from ``folder``, in the numbers they are stored in.

    Raises `ModelError` for a file that is cut short or no safetensors, and for a weight that is
    missing or of another size than the config says.
    """
    stored = _Stored(_read_files(folder), folder)
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


class _Stored:
    """Tensors by name, each checked for its size when it is taken."""

    def __init__(self, tensors: Mapping[str, torch.Tensor], folder: Path) -> None:
        self._tensors = tensors
        self._folder = folder

    def take(self, name: str, *size: int) -> torch.Tensor:
        tensor = self._tensors.get(name)
        if tensor is None:
            raise ModelError(
                f"the model in {self._folder} lacks the weight {name}", "fetch it again"
            )
        if tuple(tensor.shape) != size:
            raise ModelError(
                f"the weight {name} in {self._folder} has the size {tuple(tensor.shape)}, and its "
                f"config.json asks for {size}",
                "fetch the model again",
            )
        if str(tensor.dtype) not in _PLAIN_NUMBERS:
            raise ModelError(
                f"the weight {name} in {self._folder} holds {tensor.dtype}, no plain numbers",
                "take the model's unquantised weights",
            )
        return tensor

    def several(
        self, prefix: str, rows: Mapping[str, int], columns: int
    ) -> tuple[torch.Tensor, ...]:
        """Take several matrices with the same input."""
        return tuple(
            self.take(f"{prefix}{name}.weight", size, columns) for name, size in rows.items()
        )

    def biases(self, prefix: str, rows: Mapping[str, int]) -> torch.Tensor:
        """Take several biases as one."""
        import torch

        return torch.cat([self.take(f"{prefix}{name}.bias", size) for name, size in rows.items()])


def _read_files(folder: Path) -> dict[str, torch.Tensor]:
    import safetensors
    from safetensors.torch import load_file

    tensors: dict[str, torch.Tensor] = {}
    for file in _weight_files(folder):
        try:
            tensors.update(load_file(file))
        except (safetensors.SafetensorError, OSError) as error:
            raise ModelError(
                f"the weights {file} cannot be read ({error})", "fetch the model again"
            ) from error
    return tensors


def _weight_files(folder: Path) -> Iterator[Path]:
    index = folder / _INDEX
    if not index.is_file():
        yield folder / "model.safetensors"
        return
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{index} is no index of weights", "fetch the model again") from error
    for name in names:
        if not isinstance(name, str) or Path(name).name != name:
            raise ModelError(f"{index} names a file outside its folder", "fetch the model again")
        yield folder / name
