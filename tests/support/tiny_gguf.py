"""A Llama of a few kilobytes, written as GGUF the way llama.cpp's converter does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

BYTES = {}
"""GPT-2's spelling of each byte as a printable character, as byte-level vocabularies have it."""
_printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1)]
_printable += range(ord("®"), ord("ÿ") + 1)
for _byte in range(256):
    _later = sum(1 for other in range(_byte) if other not in _printable)
    BYTES[_byte] = chr(_byte if _byte in _printable else 256 + _later)

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MERGES = ["Ġ Ġ", "h e", "l l", "he ll", "hell o", "Ġ hello", "1 2"]
TOKENS = [*SPECIAL, *BYTES.values(), *(merge.replace(" ", "") for merge in MERGES)]
CHAT_TEMPLATE = "{% for m in messages %}<|im_start|>{{ m['content'] }}<|im_end|>{% endfor %}"


@dataclass
class Shape:
    """A Llama that is small enough to be written down."""

    layers: int = 2
    width: int = 64
    heads: int = 4
    kv_heads: int = 2
    inner: int = 96
    context: int = 128

    @property
    def head_width(self) -> int:
        return self.width // self.heads


def llama_weights(shape: Shape, seed: int = 7) -> dict[str, np.ndarray]:
    """The weights by transformers' names, in the order of its rows."""
    rng = np.random.default_rng(seed)

    def random(*extent: int) -> np.ndarray:
        return (rng.standard_normal(extent) * 0.1).astype(np.float32)

    kv = shape.kv_heads * shape.head_width
    weights = {"model.embed_tokens.weight": random(len(TOKENS), shape.width)}
    for layer in range(shape.layers):
        at = f"model.layers.{layer}."
        weights |= {
            f"{at}self_attn.q_proj.weight": random(shape.width, shape.width),
            f"{at}self_attn.k_proj.weight": random(kv, shape.width),
            f"{at}self_attn.v_proj.weight": random(kv, shape.width),
            f"{at}self_attn.o_proj.weight": random(shape.width, shape.width),
            f"{at}mlp.gate_proj.weight": random(shape.inner, shape.width),
            f"{at}mlp.up_proj.weight": random(shape.inner, shape.width),
            f"{at}mlp.down_proj.weight": random(shape.width, shape.inner),
            f"{at}input_layernorm.weight": 1 + random(shape.width),
            f"{at}post_attention_layernorm.weight": 1 + random(shape.width),
        }
    weights["model.norm.weight"] = 1 + random(shape.width)
    return weights


_GGUF_NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def _interleaved(weight: np.ndarray, heads: int) -> np.ndarray:
    """Order the rows of a query or key projection as GGUF's Llama has them: halves interleaved."""
    split = weight.reshape(heads, 2, weight.shape[0] // heads // 2, weight.shape[1])
    return np.ascontiguousarray(split.swapaxes(1, 2).reshape(weight.shape))


def write_gguf(
    path: Path,
    shape: Shape | None = None,
    *,
    weights: dict[str, np.ndarray] | None = None,
    family: str = "llama",
    pre: str = "smollm",
    settings: dict[str, int] | None = None,
    vocab_size: bool = True,
) -> dict[str, np.ndarray]:
    """Write a small model as GGUF, as llama.cpp's converter would; return its weights."""
    import gguf

    shape = shape or Shape()
    weights = llama_weights(shape) if weights is None else weights
    writer = gguf.GGUFWriter(path, family)
    writer.add_name("tiny")
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    if family == "llama":
        writer.add_rope_dimension_count(shape.head_width)
    if vocab_size:
        writer.add_vocab_size(len(TOKENS))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(TOKENS)
    writer.add_token_types([3] * len(SPECIAL) + [1] * (len(TOKENS) - len(SPECIAL)))
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)
    for key, value in (settings or {}).items():
        writer.add_uint32(key, value)
    for name, weight in weights.items():
        writer.add_tensor(*_as_gguf(name, weight, shape, family))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return weights


def _as_gguf(name: str, weight: np.ndarray, shape: Shape, family: str) -> tuple[str, np.ndarray]:
    if name == "model.embed_tokens.weight":
        return "token_embd.weight", weight
    if name == "model.norm.weight":
        return "output_norm.weight", weight
    if name == "rope_freqs.weight":
        return name, weight
    _, _, layer, part = name.split(".", 3)
    part, _, suffix = part.rpartition(".")
    if family == "llama" and suffix == "weight" and part.endswith("q_proj"):
        weight = _interleaved(weight, shape.heads)
    if family == "llama" and suffix == "weight" and part.endswith("k_proj"):
        weight = _interleaved(weight, shape.kv_heads)
    return f"blk.{layer}.{_GGUF_NAMES[part]}.{suffix}", weight
