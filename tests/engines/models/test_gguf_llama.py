"""Llama's architecture is converted as transformers converts it, and needs neither it nor torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from tiny_gguf import Shape, llama_weights, write_gguf

from voicebench.engines.models import gguf_convert
from voicebench.engines.models.gguf_header import read_header
from voicebench.engines.models.gguf_llama import is_known

BEFORE = ("transformers_version",)
"""What only transformers writes."""


def converted(source: Path, folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    folder.mkdir()
    gguf_convert.convert(source, folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return (
        {key: value for key, value in config.items() if key not in BEFORE},
        load_file(folder / "model.safetensors"),
    )


@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        (Shape(), {}),
        (Shape(layers=1, heads=4, kv_heads=4), {}),
        (Shape(), {"llama.attention.key_length": 16, "llama.attention.value_length": 16}),
        (Shape(), {"tokenizer.ggml.eot_token_id": 0}),
    ],
)
@pytest.mark.parametrize("is_large", [False, True])
def test_both_ways_give_the_same_model(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shape: Shape,
    settings: dict[str, int],
    is_large: bool,
) -> None:
    weights = llama_weights(shape)
    if is_large:  # beyond float16
        weights["model.norm.weight"][3] = 1e6
    source = tmp_path / "tiny.gguf"
    write_gguf(source, shape, weights=weights, settings=settings)
    assert is_known(read_header(source))
    config, found = converted(source, tmp_path / "here")
    monkeypatch.setattr(gguf_convert, "is_known", lambda header: False)
    general, expected = converted(source, tmp_path / "by-transformers")
    assert config == general
    assert found.keys() == expected.keys()
    for name, weight in expected.items():
        assert found[name].dtype == weight.dtype
        assert np.array_equal(found[name], weight), name


@pytest.mark.parametrize(
    "settings",
    [
        {"llama.expert_count": 8},
        {"llama.rope.scaling.factor": 2},
        {"llama.rope.dimension_count": 8},
    ],
)
def test_an_unknown_setting_goes_the_general_way(tmp_path: Path, settings: dict[str, int]) -> None:
    source = tmp_path / "tiny.gguf"
    write_gguf(source, settings=settings)
    assert not is_known(read_header(source))


def test_another_family_or_tensor_goes_the_general_way(tmp_path: Path) -> None:
    shape = Shape(layers=1)
    weights = llama_weights(shape)
    weights["model.layers.0.self_attn.q_proj.bias"] = np.zeros(shape.width, np.float32)
    write_gguf(tmp_path / "biased.gguf", shape, weights=weights)
    write_gguf(tmp_path / "qwen.gguf", shape, weights=llama_weights(shape), family="qwen2")
    assert not is_known(read_header(tmp_path / "biased.gguf"))
    assert not is_known(read_header(tmp_path / "qwen.gguf"))


def test_neither_torch_nor_transformers_is_loaded(tmp_path: Path) -> None:
    source = tmp_path / "tiny.gguf"
    write_gguf(source)
    folder = tmp_path / "converted"
    folder.mkdir()
    script = (
        "import sys; sys.modules['torch'] = sys.modules['transformers'] = None;"
        "from voicebench.engines.models.gguf_convert import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(source), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    assert (folder / "model.safetensors").is_file()
