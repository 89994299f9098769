"""Convert a GGUF file of Llama's architecture without torch and transformers.

It has the same result as the general way (`gguf_convert`), in a fraction of the time: a test
compares every weight and setting. A file with a tensor or setting that is not known here goes the
general way.

The names are those of GGUF and of transformers' ``LlamaForCausalLM``. llama.cpp's converter
interleaves the rows of the two halves of each query and key head; here they are put back.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voicebench.engines.models.gguf_header import Header, Tensor
from voicebench.engines.models.gguf_rope import TENSOR as ROPE_TENSOR
from voicebench.errors import ModelError

FAMILY = "llama"

_OUTSIDE = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_IN_A_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_LAYER = re.compile(r"blk\.(\d+)\.(\w+)\.weight")

_SETTINGS = {
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_rms_epsilon",
    "attention.value_length",
    "block_count",
    "context_length",
    "embedding_length",
    "feed_forward_length",
    "rope.dimension_count",
    "rope.freq_base",
    "vocab_size",
}
"""Settings below ``llama.`` that are taken over, or follow from others."""


def is_known(header: Header) -> bool:
    """Return whether a file has no other tensors and settings than this module knows."""
    if header.family != FAMILY:
        return False
    own = {
        key.partition(".")[2] for key in header.settings if key.partition(".")[0] == header.family
    }
    heads = header.get("llama.attention.head_count")
    width = header.get("llama.embedding_length")
    numbers = [header.get(f"llama.{key}") for key in sorted(_NEEDED)]
    return (
        own <= _SETTINGS
        and all(isinstance(number, int) and number > 0 for number in numbers)
        and width % heads == 0
        and header.get("llama.rope.dimension_count", _head_size(header)) == _head_size(header)
        and header.get("llama.attention.value_length", _head_size(header)) == _head_size(header)
        and all(tensor.name == ROPE_TENSOR or _name(tensor) for tensor in header.tensors)
    )


_NEEDED = {
    "attention.head_count",
    "block_count",
    "context_length",
    "embedding_length",
    "feed_forward_length",
}


def llama_weights(header: Header) -> dict[str, NDArray[Any]]:
    """Return the weights by transformers' names.

    All are float16, or float32 if one is too large for that. Raises `ModelError` if a tensor is
    missing.
    """
    named = {name: tensor for tensor in header.tensors if (name := _name(tensor)) is not None}
    absent = sorted(_expected(header) - named.keys())
    if absent:
        raise ModelError(
            f"{header.path} lacks {len(absent)} tensors of a {FAMILY} model, among them "
            f"{absent[0]}",
            "fetch the file again, or take another file of the model",
        )
    stored: Any = np.float16
    weights = {name: _weight(header, name, tensor, stored) for name, tensor in named.items()}
    if not all(np.isfinite(weight).all() for weight in weights.values()):
        stored = np.float32
        weights = {name: _weight(header, name, tensor, stored) for name, tensor in named.items()}
    return weights


def llama_config(header: Header) -> dict[str, object]:
    """Return ``config.json`` as transformers writes it, without what depends on the weights."""
    heads = int(header.get("llama.attention.head_count"))
    theta = float(header.get("llama.rope.freq_base", 10000.0))
    config: dict[str, object] = {
        "vocab_size": _vocabulary(header),
        "hidden_size": header.get("llama.embedding_length"),
        "intermediate_size": header.get("llama.feed_forward_length"),
        "num_hidden_layers": header.get("llama.block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": header.get("llama.attention.head_count_kv", heads),
        "hidden_act": "silu",
        "max_position_embeddings": header.get("llama.context_length"),
        "initializer_range": 0.02,
        "rms_norm_eps": float(header.get("llama.attention.layer_norm_rms_epsilon", 1e-6)),
        "use_cache": True,
        "pretraining_tp": 1,
        "tie_word_embeddings": all(tensor.name != "output.weight" for tensor in header.tensors),
        "rope_parameters": {"rope_theta": theta, "rope_type": "default"},
        "attention_bias": False,
        "attention_dropout": 0.0,
        "mlp_bias": False,
        "head_dim": _head_size(header),
        "model_type": FAMILY,
    }
    for name, key in (("pad", "padding"), ("bos", "bos"), ("eos", "eos"), ("unk", "unknown")):
        token = header.get(f"tokenizer.ggml.{key}_token_id")
        if token is not None:
            config[f"{name}_token_id"] = token
    return config


def _head_size(header: Header) -> int:
    own = header.get("llama.attention.key_length")
    if own is not None:
        return int(own)
    return int(header.get("llama.embedding_length")) // int(
        header.get("llama.attention.head_count")
    )


def _vocabulary(header: Header) -> int:
    tokens: list[str] = header.get("tokenizer.ggml.tokens", [])
    return int(header.get("llama.vocab_size", len(tokens)))


def _name(tensor: Tensor) -> str | None:
    """Return a tensor's name in transformers; None if it has none there."""
    if tensor.name in _OUTSIDE:
        return _OUTSIDE[tensor.name]
    match = _LAYER.fullmatch(tensor.name)
    if match is None or match[2] not in _IN_A_LAYER:
        return None
    return f"model.layers.{match[1]}.{_IN_A_LAYER[match[2]]}.weight"


def _expected(header: Header) -> set[str]:
    layers = range(int(header.get("llama.block_count")))
    return {"model.embed_tokens.weight", "model.norm.weight"} | {
        f"model.layers.{layer}.{part}.weight" for layer in layers for part in _IN_A_LAYER.values()
    }


def _weight(header: Header, name: str, tensor: Tensor, stored: Any) -> NDArray[Any]:
    """Return a weight in the order of transformers' rows, as the number type ``stored``."""
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
    from gguf.quants import dequantize

    kind = GGMLQuantizationType(tensor.ggml_type)
    per_block, block_bytes = GGML_QUANT_SIZES[kind]
    *rows, columns = tensor.shape
    row_bytes = columns // per_block * block_bytes
    raw = np.memmap(
        header.path,
        np.uint8,
        "r",
        offset=header.data_start + tensor.offset,
        shape=(math.prod(rows) * row_bytes,),
    )
    exact = np.asarray(dequantize(raw.reshape(*rows, row_bytes), kind), dtype=np.float32)
    exact = exact.reshape(tensor.shape)
    heads = int(header.get("llama.attention.head_count"))
    if name.endswith(".q_proj.weight"):
        exact = _halves_apart(exact, heads)
    elif name.endswith(".k_proj.weight"):
        exact = _halves_apart(exact, int(header.get("llama.attention.head_count_kv", heads)))
    with np.errstate(over="ignore"):  # an infinite weight is noticed afterwards
        return np.ascontiguousarray(exact.astype(stored))


def _halves_apart(weight: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Undo the interleaving of the halves of each head's rows."""
    rows, columns = weight.shape
    pairs = weight.reshape(heads, rows // heads // 2, 2, columns)
    return pairs.swapaxes(1, 2).reshape(rows, columns)
