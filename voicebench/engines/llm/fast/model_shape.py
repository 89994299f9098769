"""The sizes and variations of a Llama-family model, from its ``config.json``.

The families differ in few things: biases (Qwen2), a norm on queries and keys (Qwen3), a sliding
window (Mistral), the scaling of rotary frequencies for a longer context, and whether input and
output share one embedding. An unknown setting makes the model `Unsupported`, because ignoring it
would give wrong replies.

Source: the model cards and configuration classes of transformers (Llama, Mistral, Qwen2, Qwen3).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")


class Unsupported(Exception):
    """The fast engine cannot compute this model; the message gives the reason."""


@dataclass(frozen=True, slots=True)
class Rope:
    """The rotary position settings: the kind of scaling and its numbers."""

    kind: str
    theta: float
    factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_context: int = 8192


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes and the variations of one decoder.

    ``windows`` has one entry for each layer: how many latest positions it sees, or None for all.
    """

    family: str
    vocabulary: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    norm_epsilon: float
    context: int
    rope: Rope
    tied_embeddings: bool
    qkv_bias: bool
    output_bias: bool
    mlp_bias: bool
    query_key_norm: bool
    windows: tuple[int | None, ...]

    @property
    def query_size(self) -> int:
        """The width of all queries together."""
        return self.heads * self.head_size

    @property
    def kv_size(self) -> int:
        """The width of all keys together, and of all values."""
        return self.kv_heads * self.head_size


def read_shape(config: Mapping[str, Any]) -> Shape:
    """Return the shape in ``config``, the content of ``config.json``.

    Raises `Unsupported` for another family, an unknown variation, and numbers that do not fit
    together.
    """
    family = config.get("model_type")
    if family not in FAMILIES:
        raise Unsupported(f"its architecture is {family!r}")
    if config.get("quantization_config"):
        raise Unsupported("its weights are stored quantised")
    if config.get("hidden_act", "silu") != "silu":
        raise Unsupported(f"its activation is {config['hidden_act']!r}")
    hidden = _positive(config, "hidden_size")
    heads = _positive(config, "num_attention_heads")
    kv_heads = _positive(config, "num_key_value_heads", heads)
    if family == "qwen3" and "head_dim" not in config:
        raise Unsupported("its config names no head_dim")
    head_size = _positive(config, "head_dim", hidden // heads)
    if heads % kv_heads or head_size % 2:
        raise Unsupported(f"{heads} heads of {head_size} do not share {kv_heads} key-value heads")
    layers = _positive(config, "num_hidden_layers")
    attention_bias = bool(config.get("attention_bias", False))
    return Shape(
        family=family,
        vocabulary=_positive(config, "vocab_size"),
        hidden=hidden,
        intermediate=_positive(config, "intermediate_size"),
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        head_size=head_size,
        norm_epsilon=float(config.get("rms_norm_eps", 1e-6)),
        context=_positive(config, "max_position_embeddings"),
        rope=_rope(config),
        tied_embeddings=bool(config.get("tie_word_embeddings", False)),
        qkv_bias=family == "qwen2" or (family in {"llama", "qwen3"} and attention_bias),
        output_bias=family in {"llama", "qwen3"} and attention_bias,
        mlp_bias=family == "llama" and bool(config.get("mlp_bias", False)),
        query_key_norm=family == "qwen3",
        windows=_windows(config, family, layers),
    )


def inverse_frequencies(rope: Rope, head_size: int) -> list[float]:
    """Return the rotation of each pair of a head per position, in radians (head_size / 2,).

    ``linear`` scales all frequencies. ``llama3`` keeps the fast ones, scales the slow ones, and
    interpolates between (Llama 3.1 model card and transformers' ``rope_type`` "llama3").
    """
    plain = [rope.theta ** (-2 * pair / head_size) for pair in range(head_size // 2)]
    if rope.kind == "default":
        return plain
    if rope.kind == "linear":
        return [frequency / rope.factor for frequency in plain]
    return [_llama3_frequency(frequency, rope) for frequency in plain]


def rotary_tables(shape: Shape, positions: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return cosine and signed sine, each float32 of shape ``(positions, head_size)``.

    A vector ``x`` of one head at a position becomes ``x * cosine + swapped(x) * sine``, where
    ``swapped`` exchanges its halves; the sine is negative in its first half. This is the
    arrangement of Llama's weights as transformers stores them: pair ``i`` is ``(i, i + half)``.
    """
    frequencies = np.array(inverse_frequencies(shape.rope, shape.head_size), np.float32)
    angles = np.outer(np.arange(positions, dtype=np.float32), frequencies)
    cosine, sine = np.cos(angles), np.sin(angles)
    return np.concatenate((cosine, cosine), axis=1), np.concatenate((-sine, sine), axis=1)


def _llama3_frequency(frequency: float, rope: Rope) -> float:
    turns_in_original_context = rope.original_context * frequency / (2 * math.pi)
    if turns_in_original_context < rope.low_freq_factor:
        return frequency / rope.factor
    if turns_in_original_context > rope.high_freq_factor:
        return frequency
    share = (turns_in_original_context - rope.low_freq_factor) / (
        rope.high_freq_factor - rope.low_freq_factor
    )
    return (1 - share) * frequency / rope.factor + share * frequency


def _rope(config: Mapping[str, Any]) -> Rope:
    """Return the rotary settings, as transformers 5 or earlier releases name them."""
    settings = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if not isinstance(settings, Mapping):
        raise Unsupported("its rotary settings are of an unknown kind")
    kind = settings.get("rope_type") or settings.get("type") or "default"
    theta = settings.get("rope_theta") or config.get("rope_theta") or 10_000.0
    if settings.get("partial_rotary_factor", config.get("partial_rotary_factor", 1.0)) != 1.0:
        raise Unsupported("it turns only a part of each head")
    try:
        if kind == "default":
            return Rope("default", float(theta))
        if kind == "linear":
            return Rope("linear", float(theta), float(settings["factor"]))
        if kind == "llama3":
            return Rope(
                "llama3",
                float(theta),
                float(settings["factor"]),
                float(settings["low_freq_factor"]),
                float(settings["high_freq_factor"]),
                int(settings["original_max_position_embeddings"]),
            )
    except (KeyError, TypeError, ValueError) as error:
        raise Unsupported(f"its rotary settings lack {error}") from error
    raise Unsupported(f"its rotary positions are of the kind {kind!r}")


def _windows(config: Mapping[str, Any], family: str, layers: int) -> tuple[int | None, ...]:
    window = config.get("sliding_window")
    if family == "llama" or not window:
        return (None,) * layers
    if family == "mistral":
        return (int(window),) * layers
    if not config.get("use_sliding_window", False):
        return (None,) * layers
    kinds = config.get("layer_types")
    if kinds is None:
        first = int(config.get("max_window_layers", layers))
        kinds = ["sliding_attention" if at >= first else "full_attention" for at in range(layers)]
    if len(kinds) != layers or not set(kinds) <= {"sliding_attention", "full_attention"}:
        raise Unsupported("its layers attend in ways that are not known here")
    return tuple(int(window) if kind == "sliding_attention" else None for kind in kinds)


def _positive(config: Mapping[str, Any], key: str, default: int | None = None) -> int:
    value = config.get(key)
    if value is None:
        value = default
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Unsupported(f"its config says {key} = {value!r}")
    return value
