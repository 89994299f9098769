from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
from voicebench.engines.llm.fast.torch_decoder import TorchDecoder, gathered_at_once
from voicebench.errors import EngineError

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


def first_ids(engine: FastEngine, prompt: list[int], count: int) -> list[int]:
    sampled = (token_id for token_id in engine.generate(prompt) if token_id is not None)
    return list(itertools.islice(sampled, count))


def decoder_of(
    folder: Path,
    precision: Precision = "fp32",
    decoder: type[TorchDecoder] = TorchDecoder,
    device: str = "cpu",
) -> TorchDecoder:
    shape = read_shape(json.loads((folder / "config.json").read_text()))
    return decoder(shape, read_weights(folder, shape), plain(precision), torch.device(device))


@pytest.mark.parametrize("decoder", [TorchDecoder, GraphDecoder])
@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_replies_are_those_of_transformers(
    family: str, decoder: type[TorchDecoder], device: str, tmp_path: Path
) -> None:
    reference = write_model(tmp_path, FAMILIES[family]())
    computing = decoder_of(tmp_path, decoder=decoder, device=device)
    engine = FastEngine(computing, prefix=[5, 6, 7], temperature=0.0, seed=0)
    for prompt in ([5, 6, 7, 8, 9, 10, 11], [300, 12, 44], list(range(20, 60))):
        expected = reference.generate(
            torch.tensor([prompt]), max_new_tokens=24, do_sample=False, eos_token_id=-1
        )[0, len(prompt) :].tolist()
        sampled = engine.generate(prompt)
        assert [next(sampled) for _ in range(24)] == expected
        assert len(set(expected)) > 3


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_are_those_of_transformers_however_the_prompt_is_cut(
    family: str, device: str, tmp_path: Path
) -> None:
    reference = write_model(tmp_path, FAMILIES[family]())
    ids = torch.randint(0, 400, (20,), generator=torch.Generator().manual_seed(1)).tolist()
    with torch.inference_mode():
        expected = reference(torch.tensor([ids])).logits[0, -1]
    decoder = decoder_of(tmp_path, device=device)
    for cuts in ([20], [1, 19], [7, 1, 12], [1] * 20):
        cache = decoder.new_cache(32)
        start = 0
        for length in cuts:
            scores = decoder.forward(ids[start : start + length], cache, start)
            start += length
        torch.testing.assert_close(scores.cpu(), expected, atol=2e-4, rtol=1e-4)


def test_half_precision_stays_near_float32(device: str, tmp_path: Path) -> None:
    write_model(tmp_path, tiny_llama_config(), spread=0.05)
    ids = list(range(30, 50))
    exact = decoder_of(tmp_path)
    expected = exact.forward(ids, exact.new_cache(32), 0)
    for precision in ("bf16", "fp16"):
        decoder = decoder_of(tmp_path, precision, device=device)
        scores = decoder.forward(ids, decoder.new_cache(32), 0).cpu()
        error = (scores.float() - expected).norm() / expected.norm()
        assert error < 0.03


def test_every_score_of_a_text_is_that_of_its_beginnings(device: str, tmp_path: Path) -> None:
    write_model(tmp_path, tiny_llama_config())
    decoder = decoder_of(tmp_path, device=device)
    ids = list(range(50, 62))
    every = decoder.every_score(ids, decoder.new_cache(16), 0)
    assert every.shape == (12, 400)
    for length in (1, 5, 12):
        last = decoder.forward(ids[:length], decoder.new_cache(16), 0)
        torch.testing.assert_close(every[length - 1], last, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", [TorchDecoder, GraphDecoder])
def test_what_a_cache_holds_can_be_copied_and_filled_into_another(
    kind: type[TorchDecoder], device: str, tmp_path: Path
) -> None:
    write_model(tmp_path, tiny_llama_config())
    decoder = decoder_of(tmp_path, decoder=kind, device=device)
    ids = list(range(50, 60))
    cache = decoder.new_cache(16)
    expected = decoder.forward(ids[:9], cache, 0), decoder.forward(ids[9:], cache, 9).clone()
    copied, filled = decoder.new_cache(32), decoder.new_cache(16)
    decoder.copy_cache(cache, copied, 9)
    decoder.fill(filled, *decoder.content(cache, 9))
    for other in (copied, filled):
        torch.testing.assert_close(decoder.forward(ids[9:], other, 9), expected[1])


@pytest.mark.parametrize(("count", "positions"), [(1, 9), (5, 5), (7, 30)])
def test_fused_attention_is_attention(count: int, positions: int, tmp_path: Path) -> None:
    write_model(tmp_path, tiny_llama_config(head_dim=32))
    decoder = decoder_of(tmp_path)
    draws = torch.Generator().manual_seed(0)
    query = torch.randn(4, count, 32, generator=draws)
    keys, values = torch.randn(2, 2, positions, 32, generator=draws)
    at = torch.arange(positions - count, positions)[:, None]
    mask = torch.zeros(count, positions).masked_fill(torch.arange(positions)[None] > at, -torch.inf)
    expected = decoder.gather(query, keys, values, mask)
    torch.testing.assert_close(gathered_at_once(query, keys, values, mask), expected)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_one_token_is_what_the_pass_of_several_gives(
    precision: Precision, device: str, tmp_path: Path
) -> None:
    write_model(tmp_path, FAMILIES["qwen3"](), spread=0.05)
    one_by_one = decoder_of(tmp_path, precision, GraphDecoder, device)
    ids = list(range(60, 80))
    cache = one_by_one.new_cache(64)
    expected = one_by_one.every_score(ids, one_by_one.new_cache(64), 0).float()
    error = {"fp32": 1e-5, "bf16": 2e-2, "fp16": 3e-3}[precision]
    for position, token_id in enumerate(ids):
        scores = one_by_one.forward([token_id], cache, position).float()
        assert (scores - expected[position]).norm() <= error * expected[position].norm()


def test_turns_at_once_do_not_mix(device: str, tmp_path: Path) -> None:
    write_model(tmp_path, tiny_llama_config())
    decoder = decoder_of(tmp_path, decoder=GraphDecoder, device=device)
    engine = FastEngine(decoder, prefix=[5, 6], temperature=0.0, seed=0)
    prompts = [[5, 6, first, 8] for first in range(20, 26)]

    def reply(prompt: list[int]) -> list[int]:
        return first_ids(engine, prompt, 20)

    with ThreadPoolExecutor(len(prompts)) as pool:
        together = list(pool.map(reply, prompts))
    assert together == [reply(prompt) for prompt in prompts]


def test_a_reply_goes_on_as_it_was_when_its_cache_grows(device: str, tmp_path: Path) -> None:
    write_model(tmp_path, tiny_llama_config(max_position_embeddings=2048))
    decoder = decoder_of(tmp_path, decoder=GraphDecoder, device=device)
    engine = FastEngine(decoder, prefix=[5, 6], temperature=0.0, seed=0)
    ids = first_ids(engine, [5, 6, 7], 540)  # the first cache has room for 512
    whole = decoder.every_score([5, 6, 7, *ids[:-1]], decoder.new_cache(600), 0)
    for position in range(505, 520):
        assert int(whole[2 + position].argmax()) == ids[position]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_the_first_reply_finds_its_graph_captured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(tmp_path, tiny_llama_config())
    decoder = decoder_of(tmp_path, decoder=GraphDecoder, device="cuda")
    assert isinstance(decoder, GraphDecoder)
    engine = FastEngine(decoder, prefix=[5, 6], temperature=0.0, seed=0)
    monkeypatch.setattr(decoder, "_capture", lambda *_: pytest.fail("captured in a reply"))
    sampled = engine.generate([5, 6, 7])
    assert len({next(sampled) for _ in range(20)}) > 1
    assert decoder.describe()["graphs"] is True


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_gpu_without_memory_is_an_error_of_the_engine(tmp_path: Path) -> None:
    write_model(tmp_path, tiny_llama_config())
    decoder = decoder_of(tmp_path, decoder=GraphDecoder, device="cuda")
    with pytest.raises(EngineError, match="ran out of memory on cuda"):
        decoder.new_cache(1 << 40)
    assert decoder.forward([5, 6], decoder.new_cache(16), 0).isfinite().all()
