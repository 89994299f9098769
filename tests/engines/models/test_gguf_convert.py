from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_gguf import TOKENS, Shape, llama_weights, write_gguf

from voicebench.engines.models import gguf_convert
from voicebench.engines.models.gguf_convert import convert
from voicebench.errors import ModelError

FLOAT16_ROUNDING = 2.0**-11
"""Half the distance of neighbouring float16 numbers, relative to their size."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "converted"
    place.mkdir()
    return place


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "tiny.gguf"


def read(folder: Path, name: str) -> dict[str, Any]:
    return dict(json.loads((folder / name).read_text(encoding="utf-8")))


def stored(folder: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(folder / "model.safetensors")


def test_every_weight_is_within_rounding_of_what_the_gguf_holds(source: Path, folder: Path) -> None:
    written = write_gguf(source)
    convert(source, folder)
    found = stored(folder)
    assert found.keys() == written.keys()
    for name, weight in written.items():
        assert found[name].dtype == np.float16
        error = np.abs(found[name].astype(np.float64) - weight)
        assert (error <= np.abs(weight) * FLOAT16_ROUNDING + 2.0**-25).all(), name


def test_the_folder_holds_the_five_files_and_nothing_else(source: Path, folder: Path) -> None:
    write_gguf(source)
    convert(source, folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_the_config_says_what_a_reader_without_transformers_needs(
    source: Path, folder: Path
) -> None:
    write_gguf(source)
    convert(source, folder)
    config = read(folder, "config.json")
    expected = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "float16",
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "intermediate_size": 96,
        "max_position_embeddings": 128,
        "vocab_size": len(TOKENS),
        "tie_word_embeddings": True,
        "eos_token_id": 2,
        "bos_token_id": 1,
    }
    assert {key: config[key] for key in expected} == expected
    assert config["rms_norm_eps"] == pytest.approx(1e-5)
    assert "quantization_config" not in config


def test_the_converted_model_loads_and_computes_what_the_weights_say(
    source: Path, folder: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

    written = write_gguf(source)
    convert(source, folder)
    shape = Shape()
    expected = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(TOKENS),
            hidden_size=shape.width,
            intermediate_size=shape.inner,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.kv_heads,
            max_position_embeddings=shape.context,
            rms_norm_eps=1e-5,
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
            tie_word_embeddings=True,
        )
    ).eval()
    expected.load_state_dict({name: torch.tensor(w) for name, w in written.items()}, strict=False)
    found = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ids = torch.tensor([[1, 5, 80, 200, 2]])
    with torch.no_grad():
        torch.testing.assert_close(found(ids).logits, expected(ids).logits, rtol=0, atol=5e-3)


@pytest.mark.parametrize(
    ("settings", "ends"),
    [
        ({}, 2),
        ({"tokenizer.ggml.eot_token_id": 0}, [2, 0]),
        ({"tokenizer.ggml.eot_token_id": 2}, 2),
    ],
)
def test_every_token_that_ends_a_reply_is_kept(
    source: Path, folder: Path, settings: dict[str, int], ends: int | list[int]
) -> None:
    shape = Shape(layers=1)
    write_gguf(source, shape, weights=llama_weights(shape), settings=settings)
    convert(source, folder)
    assert read(folder, "config.json")["eos_token_id"] == ends
    assert read(folder, "generation_config.json")["eos_token_id"] == ends


def test_a_weight_too_large_for_float16_makes_the_whole_model_float32(
    source: Path, folder: Path
) -> None:
    shape = Shape(layers=1)
    weights = llama_weights(shape)
    weights["model.layers.0.mlp.up_proj.weight"][3, 4] = 1e6
    write_gguf(source, shape, weights=weights)
    convert(source, folder)
    assert read(folder, "config.json")["dtype"] == "float32"
    for name, weight in weights.items():
        np.testing.assert_array_equal(stored(folder)[name], weight)


def test_a_model_that_lacks_a_tensor_is_refused_and_not_filled_with_random_numbers(
    source: Path, folder: Path
) -> None:
    shape = Shape(layers=1)
    weights = llama_weights(shape)
    del weights["model.layers.0.mlp.up_proj.weight"]
    write_gguf(source, shape, weights=weights)
    with pytest.raises(ModelError, match=r"lacks 1 tensors .* model.layers.0.mlp.up_proj.weight"):
        convert(source, folder)


def test_a_family_that_transformers_cannot_read_is_named(source: Path, folder: Path) -> None:
    write_gguf(source, family="mamba2")
    with pytest.raises(ModelError, match="family 'mamba2'"):
        convert(source, folder)


def test_another_family_is_converted_with_its_own_rules(source: Path, folder: Path) -> None:
    shape = Shape(layers=1)
    weights = llama_weights(shape)
    kv = shape.kv_heads * shape.head_width
    rng = np.random.default_rng(3)
    for part, width in (("q", shape.width), ("k", kv), ("v", kv)):
        bias = rng.standard_normal(width).astype(np.float32)
        weights[f"model.layers.0.self_attn.{part}_proj.bias"] = bias
    write_gguf(source, shape, weights=weights, family="qwen2", pre="qwen2", vocab_size=False)
    convert(source, folder)
    assert read(folder, "config.json")["architectures"] == ["Qwen2ForCausalLM"]
    assert read(folder, "config.json")["vocab_size"] == len(TOKENS)
    for name, weight in weights.items():
        np.testing.assert_allclose(stored(folder)[name], weight, rtol=FLOAT16_ROUNDING, atol=1e-7)


def test_a_split_rule_that_only_transformers_knows_is_left_to_it(
    source: Path, folder: Path
) -> None:
    from transformers import AutoTokenizer

    shape = Shape(layers=1)
    write_gguf(source, shape, weights=llama_weights(shape), pre="tekken")
    convert(source, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer("<|im_start|>hello hello<|im_end|>", add_special_tokens=False)["input_ids"]
    assert ids == [1, TOKENS.index("hello"), TOKENS.index("Ġhello"), 2]
    assert "chat_template" in read(folder, "tokenizer_config.json")


def test_the_program_says_its_parts_and_its_error_as_json_lines(
    source: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_gguf(source)
    source.write_bytes(source.read_bytes()[:-5000])
    assert gguf_convert.main([str(source), str(folder)]) == 4
    (said,) = capsys.readouterr().out.splitlines()
    assert "cut short" in json.loads(said)["error"]
