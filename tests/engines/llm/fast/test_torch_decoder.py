from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from small_models import tiny_llama_config, write_model
from transformers import MistralConfig, PretrainedConfig, Qwen2Config, Qwen3Config

from voicebench.engines.llm.fast.decoder_weights import read_weights
from voicebench.engines.llm.fast.engine import FastEngine
from voicebench.engines.llm.fast.graph_decoder import GraphDecoder
from voicebench.engines.llm.fast.kernels import Precision, plain
from voicebench.engines.llm.fast.model_shape import read_shape
from voicebench.engines.llm.fast.torch_decoder import TorchDecoder

CPU = torch.device("cpu")
SIZES: dict[str, Any] = {
    "vocab_size": 400,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "eos_token_id": 2,
}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
FAMILIES: dict[str, Callable[[], PretrainedConfig]] = {
    "llama": tiny_llama_config,
    "llama with one key head and untied": lambda: tiny_llama_config(
        num_key_value_heads=1, tie_word_embeddings=False
    ),
    "llama with biases": lambda: tiny_llama_config(attention_bias=True, mlp_bias=True),
    "llama with stretched positions": lambda: tiny_llama_config(rope_parameters=LLAMA3_ROPE),
    "llama with linear positions": lambda: tiny_llama_config(
        rope_parameters={"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}
    ),
    "llama with wide heads": lambda: tiny_llama_config(head_dim=32),
    "mistral with a window": lambda: MistralConfig(**SIZES, sliding_window=6),
    "mistral without a window": lambda: MistralConfig(**SIZES, sliding_window=None),
    "qwen2": lambda: Qwen2Config(**SIZES, tie_word_embeddings=True),
    "qwen2 with windows in late layers": lambda: Qwen2Config(
        **SIZES, use_sliding_window=True, sliding_window=5, max_window_layers=1
    ),
    "qwen3": lambda: Qwen3Config(**SIZES, head_dim=24),
}


def decoder_of(
    folder: Path, precision: Precision = "fp32", decoder: type[TorchDecoder] = TorchDecoder
) -> TorchDecoder:
    shape = read_shape(json.loads((folder / "config.json").read_text()))
    return decoder(shape, read_weights(folder, shape), plain(precision), CPU)


@pytest.mark.parametrize("decoder", [TorchDecoder, GraphDecoder])
@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_replies_are_those_of_transformers(
    family: str, decoder: type[TorchDecoder], tmp_path: Path
) -> None:
    reference = write_model(tmp_path, FAMILIES[family]())
    engine = FastEngine(
        decoder_of(tmp_path, decoder=decoder), prefix=[5, 6, 7], temperature=0.0, seed=0
    )
    for prompt in ([5, 6, 7, 8, 9, 10, 11], [300, 12, 44], list(range(20, 60))):
        expected = reference.generate(
            torch.tensor([prompt]), max_new_tokens=24, do_sample=False, eos_token_id=-1
        )[0, len(prompt) :].tolist()
        sampled = engine.generate(prompt)
        assert [next(sampled) for _ in range(24)] == expected
        assert len(set(expected)) > 3


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_are_those_of_transformers_however_the_prompt_is_cut(
    family: str, tmp_path: Path
) -> None:
    reference = write_model(tmp_path, FAMILIES[family]())
    ids = torch.randint(0, 400, (20,), generator=torch.Generator().manual_seed(1)).tolist()
    with torch.inference_mode():
        expected = reference(torch.tensor([ids])).logits[0, -1]
    decoder = decoder_of(tmp_path)
    for cuts in ([20], [1, 19], [7, 1, 12], [1] * 20):
        cache = decoder.new_cache(32)
        start = 0
        for length in cuts:
            scores = decoder.forward(ids[start : start + length], cache, start)
            start += length
        torch.testing.assert_close(scores, expected, atol=2e-4, rtol=1e-4)


def test_half_precision_stays_near_float32(tmp_path: Path) -> None:
    write_model(tmp_path, tiny_llama_config(), spread=0.05)
    ids = list(range(30, 50))
    exact = decoder_of(tmp_path)
    expected = exact.forward(ids, exact.new_cache(32), 0)
    for precision in ("bf16", "fp16"):
        decoder = decoder_of(tmp_path, precision)
        scores = decoder.forward(ids, decoder.new_cache(32), 0)
        error = (scores.float() - expected).norm() / expected.norm()
        assert error < 0.03


def test_every_score_of_a_text_is_that_of_its_beginnings(tmp_path: Path) -> None:
    write_model(tmp_path, tiny_llama_config())
    decoder = decoder_of(tmp_path)
    ids = list(range(50, 62))
    every = decoder.every_score(ids, decoder.new_cache(16), 0)
    assert every.shape == (12, 400)
    for length in (1, 5, 12):
        last = decoder.forward(ids[:length], decoder.new_cache(16), 0)
        torch.testing.assert_close(every[length - 1], last, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", [TorchDecoder, GraphDecoder])
def test_what_a_cache_holds_can_be_copied_and_filled_into_another(
    kind: type[TorchDecoder], tmp_path: Path
) -> None:
    write_model(tmp_path, tiny_llama_config())
    decoder = decoder_of(tmp_path, decoder=kind)
    ids = list(range(50, 60))
    cache = decoder.new_cache(16)
    expected = decoder.forward(ids[:9], cache, 0), decoder.forward(ids[9:], cache, 9).clone()
    copied, filled = decoder.new_cache(32), decoder.new_cache(16)
    decoder.copy_cache(cache, copied, 9)
    decoder.fill(filled, *decoder.content(cache, 9))
    for other in (copied, filled):
        torch.testing.assert_close(decoder.forward(ids[9:], other, 9), expected[1])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_captured_token_is_the_same_as_on_a_cpu(tmp_path: Path) -> None:
    write_model(tmp_path, tiny_llama_config())
    shape = read_shape(json.loads((tmp_path / "config.json").read_text()))
    weights = read_weights(tmp_path, shape)
    replies = []
    for device in ("cpu", "cuda"):
        decoder = GraphDecoder(shape, weights, plain("fp32"), torch.device(device))
        engine = FastEngine(decoder, prefix=[5, 6], temperature=0.0, seed=0)
        for _ in range(2):
            sampled = engine.generate([5, 6, 7, 8])
            replies.append([next(sampled) for _ in range(30)])
    assert all(reply == replies[0] for reply in replies)
