from __future__ import annotations

import pytest
import torch
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from voicebench.engines.llm.fast.model_shape import (
    Rope,
    Unsupported,
    inverse_frequencies,
    read_shape,
)

LLAMA = {
    "model_type": "llama",
    "vocab_size": 400,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
}


def test_a_plain_config_is_read() -> None:
    shape = read_shape(LLAMA)
    assert (shape.heads, shape.kv_heads, shape.head_size) == (4, 4, 16)
    assert shape.rope == Rope("default", 10_000.0)
    assert shape.windows == (None,) * 4
    assert not shape.tied_embeddings


@pytest.mark.parametrize(
    ("settings", "rope"),
    [
        ({"rope_theta": 5e5}, Rope("default", 5e5)),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 1e5}}, Rope("default", 1e5)),
        ({"rope_theta": 1e6, "rope_scaling": None}, Rope("default", 1e6)),
        (
            {"rope_theta": 1e4, "rope_scaling": {"type": "linear", "factor": 2.0}},
            Rope("linear", 1e4, 2.0),
        ),
        (
            {
                "rope_theta": 5e5,
                "rope_scaling": {
                    "rope_type": "llama3",
                    "factor": 32.0,
                    "low_freq_factor": 1.0,
                    "high_freq_factor": 4.0,
                    "original_max_position_embeddings": 8192,
                },
            },
            Rope("llama3", 5e5, 32.0, 1.0, 4.0, 8192),
        ),
    ],
)
def test_rotary_settings_are_read_in_old_words_and_new(
    settings: dict[str, dict[str, float | str] | float]
    | dict[str, dict[str, float | str]]
    | dict[str, float | None]
    | dict[str, float],
    rope: Rope,
) -> None:
    assert read_shape(LLAMA | settings).rope == rope


@pytest.mark.parametrize(
    ("settings", "windows"),
    [
        ({"model_type": "mistral", "sliding_window": 32}, (32,) * 4),
        ({"model_type": "mistral", "sliding_window": None}, (None,) * 4),
        ({"model_type": "qwen2", "sliding_window": 32}, (None,) * 4),
        (
            {
                "model_type": "qwen2",
                "sliding_window": 32,
                "use_sliding_window": True,
                "max_window_layers": 3,
            },
            (None, None, None, 32),
        ),
        (
            {
                "model_type": "qwen2",
                "sliding_window": 32,
                "use_sliding_window": True,
                "layer_types": ["full_attention", "sliding_attention"] * 2,
            },
            (None, 32, None, 32),
        ),
    ],
)
def test_each_layer_has_the_window_that_its_family_means(
    settings: dict[str, object], windows: tuple[int | None, ...]
) -> None:
    assert read_shape(LLAMA | settings).windows == windows


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"model_type": "gpt2"}, "its architecture is 'gpt2'"),
        ({"model_type": None}, "its architecture is None"),
        ({"hidden_act": "gelu"}, "its activation is 'gelu'"),
        ({"quantization_config": {"bits": 4}}, "stored quantised"),
        ({"hidden_size": None}, "hidden_size = None"),
        ({"num_hidden_layers": 0}, "num_hidden_layers = 0"),
        ({"num_key_value_heads": 3}, "do not share 3"),
        ({"rope_scaling": {"type": "yarn", "factor": 4.0}}, "of the kind 'yarn'"),
        ({"rope_scaling": {"type": "linear"}}, "lack 'factor'"),
        ({"partial_rotary_factor": 0.5}, "a part of each head"),
        ({"model_type": "qwen3"}, "names no head_dim"),
        (
            {
                "model_type": "qwen2",
                "sliding_window": 4,
                "use_sliding_window": True,
                "layer_types": ["full_attention", "chunked_attention"] * 2,
            },
            "not known here",
        ),
    ],
)
def test_what_is_not_known_is_unsupported_with_its_reason(
    settings: dict[str, object], reason: str
) -> None:
    with pytest.raises(Unsupported, match=reason):
        read_shape(LLAMA | settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"rope_type": "linear", "rope_theta": 1e4, "factor": 3.0},
        {
            "rope_type": "llama3",
            "rope_theta": 5e5,
            "factor": 32.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        },
    ],
    ids=["linear", "llama3"],
)
def test_stretched_frequencies_are_those_of_transformers(settings: dict[str, float | str]) -> None:
    config = LlamaConfig(hidden_size=256, num_attention_heads=2, rope_parameters=settings)
    expected, _ = ROPE_INIT_FUNCTIONS[str(settings["rope_type"])](config, "cpu")
    rope = read_shape(LLAMA | {"rope_parameters": settings}).rope
    torch.testing.assert_close(torch.tensor(inverse_frequencies(rope, 128)), expected)
