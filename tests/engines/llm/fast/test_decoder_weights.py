from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from small_models import tiny_llama_config, write_model

from voicebench.engines.llm.fast.decoder_weights import as_tensor, read_weights
from voicebench.engines.llm.fast.model_shape import Shape, read_shape
from voicebench.errors import ModelError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_model(tmp_path, tiny_llama_config(tie_word_embeddings=False))
    return tmp_path


def shape_in(folder: Path) -> Shape:
    return read_shape(json.loads((folder / "config.json").read_text()))


def test_weights_are_read_with_their_sizes(folder: Path) -> None:
    weights = read_weights(folder, shape_in(folder))
    stored = load_file(folder / "model.safetensors")
    assert weights.parameters == sum(tensor.numel() for tensor in stored.values())
    assert [part.shape[0] for part in weights.layers[0].qkv] == [64, 32, 32]
    assert np.array_equal(weights.head, stored["lm_head.weight"].numpy())


def test_bfloat16_is_read_as_it_is_stored(folder: Path) -> None:
    stored = {
        name: weight.bfloat16() for name, weight in load_file(folder / "model.safetensors").items()
    }
    save_file(stored, folder / "model.safetensors")
    weights = read_weights(folder, shape_in(folder))
    assert weights.head.dtype.name == "bfloat16"
    assert torch.equal(as_tensor(weights.head), stored["lm_head.weight"])


def test_several_files_with_an_index_are_one_model(folder: Path) -> None:
    expected = read_weights(folder, shape_in(folder))
    stored = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    index: dict[str, str] = {}
    for number, names in enumerate((list(stored)[::2], list(stored)[1::2])):
        file = f"model-{number}.safetensors"
        save_file({name: stored[name] for name in names}, folder / file)
        index |= dict.fromkeys(names, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    weights = read_weights(folder, shape_in(folder))
    assert np.array_equal(weights.layers[1].down, expected.layers[1].down)


def test_an_index_that_names_a_file_elsewhere_is_refused(folder: Path) -> None:
    index = {"weight_map": {"model.norm.weight": "../elsewhere.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match="outside its folder"):
        read_weights(folder, shape_in(folder))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda stored: stored.pop("model.layers.1.mlp.up_proj.weight"), "lacks the weight"),
        (lambda stored: stored.update({"model.norm.weight": torch.ones(63)}), "has the size"),
        (
            lambda stored: stored.update({"model.norm.weight": torch.ones(64, dtype=torch.int8)}),
            "no plain numbers",
        ),
        (
            lambda stored: stored.update(
                {"model.norm.weight": torch.ones(64).to(torch.float8_e4m3fn)}
            ),
            "no plain numbers",
        ),
    ],
    ids=["missing", "wrong size", "integers", "eighths"],
)
def test_a_weight_that_does_not_fit_is_told_by_its_name(
    folder: Path, change: Callable[[dict[str, torch.Tensor]], None], sentence: str
) -> None:
    stored = load_file(folder / "model.safetensors")
    change(stored)
    save_file(stored, folder / "model.safetensors")
    with pytest.raises(ModelError, match=f"weight model.*{sentence}|{sentence} model"):
        read_weights(folder, shape_in(folder))


@pytest.mark.parametrize("spoil", [lambda data: data[:5000], lambda data: b"\x80\x04pickle"])
def test_a_broken_file_is_told_in_one_sentence(
    folder: Path, spoil: Callable[[bytes], bytes]
) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(ModelError, match="cannot be read") as raised:
        read_weights(folder, shape_in(folder))
    assert "\n" not in str(raised.value)


def test_a_folder_without_weights_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        read_weights(folder, shape_in(folder))
