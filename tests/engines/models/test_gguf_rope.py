from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_gguf import Shape, llama_weights, write_gguf

from voicebench.engines.models.gguf_header import Header, read_header
from voicebench.engines.models.gguf_rope import llama3_factors, stretched_rope
from voicebench.errors import ModelError

SHAPE = Shape(layers=1)


def header_with(tmp_path: Path, factors: object, **options: Any) -> Header:
    weights = llama_weights(SHAPE)
    if factors is not None:
        weights["rope_freqs.weight"] = np.asarray(factors, np.float32)
    path = tmp_path / "tiny.gguf"
    write_gguf(path, SHAPE, weights=weights, **options)
    return read_header(path)


def test_a_model_without_factors_has_plain_rotary_frequencies(tmp_path: Path) -> None:
    assert stretched_rope(header_with(tmp_path, None)) is None


def test_the_numbers_are_found_again_from_the_factors(tmp_path: Path) -> None:
    factors = llama3_factors(10000.0, SHAPE.head_width, 8.0)
    assert stretched_rope(header_with(tmp_path, factors)) == {
        "rope_type": "llama3",
        "rope_theta": 10000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }


def test_factors_of_another_rule_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="by an unknown rule"):
        stretched_rope(header_with(tmp_path, np.linspace(1, 8, SHAPE.head_width // 2)))


def test_the_factors_are_those_that_transformers_computes_from_the_same_numbers() -> None:
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    config = LlamaConfig(
        hidden_size=128,
        num_attention_heads=2,
        max_position_embeddings=131072,
        rope_parameters={
            "rope_type": "llama3",
            "rope_theta": 500000.0,
            "factor": 32.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        },
    )
    stretched, _ = ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")
    plain = 500000.0 ** (-np.arange(0, 64, 2) / 64)
    factors = plain / stretched.numpy()
    np.testing.assert_allclose(llama3_factors(500000.0, 64, 32.0), factors, rtol=1e-4)


def test_the_converted_config_carries_them(tmp_path: Path) -> None:
    import json

    from voicebench.engines.models.gguf_convert import convert

    header = header_with(tmp_path, llama3_factors(10000.0, SHAPE.head_width, 8.0))
    folder = tmp_path / "converted"
    folder.mkdir()
    convert(header.path, folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["rope_parameters"] == stretched_rope(header)
