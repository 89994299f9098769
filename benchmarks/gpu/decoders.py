"""Time and agreement of our decoder, with and without captured graphs, and of transformers."""

from __future__ import annotations

import gc
import json
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.first_audio.bandwidth import Bandwidth
from benchmarks.gpu.judged import Report, milliseconds
from voicebench.engines.llm.agreement import LEAST_AGREEMENT, MOST_DIVERGENCE, Turn, compare, refer
from voicebench.engines.llm.fast.decoder_weights import Weights, read_weights
from voicebench.engines.llm.fast.engine import FastEngine
from voicebench.engines.llm.fast.graph_decoder import GraphDecoder
from voicebench.engines.llm.fast.kernels import plain
from voicebench.engines.llm.fast.model_shape import Shape, read_shape
from voicebench.engines.llm.fast.torch_decoder import TorchDecoder
from voicebench.engines.llm.transformers_engine import TransformersEngine

PROMPT_IDS = (16, 250, 2000)
TOKENS = 64
ROUNDS = 5
Ids = list[int]
Start = Callable[[Ids], Iterator[int]]


@dataclass(frozen=True, slots=True)
class Llama:
    """A model of random weights in its folder."""

    size: str
    folder: Path
    device: str
    shape: Shape
    weights: Weights

    @property
    def read_bytes(self) -> int:
        """How many bytes one token reads: all weights but the table of embeddings, bfloat16."""
        return 2 * (self.weights.parameters - self.weights.embedding.size)

    def decoder(self, kind: type[TorchDecoder], precision: str, device: str) -> TorchDecoder:
        """Return the model on ``device``."""
        return kind(self.shape, self.weights, plain(precision), torch.device(device))  # type: ignore[arg-type]


def opened(size: str, folder: Path, device: str) -> Llama:
    """Read the model in ``folder``."""
    shape = read_shape(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    return Llama(size, folder, device, shape, read_weights(folder, shape))


def prompt(length: int, seed: int) -> Ids:
    """Return random ids."""
    drawn: Ids = np.random.default_rng(seed).integers(100, 40_000, size=length).tolist()
    return drawn


def measure(llama: Llama, ceiling: Bandwidth, report: Report) -> None:
    """Measure a model's tokens and prompts, interleaved."""
    part = f"llama {llama.size}"
    floor = ceiling.floor_ms(llama.read_bytes)
    report.add(part, "a token's floor: its weights read once", f"{floor:.3f} ms")
    engines: dict[str, Any] = {
        "captured graphs": _fast(llama, GraphDecoder),
        "kernel by kernel": _fast(llama, TorchDecoder),
        "transformers": _transformers(llama),
    }
    memory = _memory(llama.device)
    tokens: dict[str, list[float]] = {name: [] for name in engines}
    prompts: dict[str, dict[int, list[float]]] = {name: {} for name in engines}
    generated: list[float] = []
    for turn in range(ROUNDS + 1):
        for name, engine in engines.items():
            for length in PROMPT_IDS:
                ids = prompt(length, seed=turn)
                reply = engine.generate(ids)
                took = _until_id(reply)
                if turn:  # the first round warms up
                    prompts[name].setdefault(length, []).append(took)
                if length == PROMPT_IDS[0]:
                    times = [_until_id(reply) for _ in range(TOKENS)]
                    tokens[name] += times if turn else []
                reply.close()
        took = _generate(engines["transformers"], prompt(PROMPT_IDS[0], seed=turn), llama.device)
        generated += [took] if turn else []
    ours = statistics.median(tokens["captured graphs"])
    for name, times in tokens.items():
        middle, high = np.percentile(times, (50, 95))
        report.add(part, f"a token, {name}", f"{middle:.3f} ms, p95 {high:.3f}")
    theirs = statistics.median(generated) / TOKENS
    report.add(part, "a token, generate of transformers", f"{theirs:.3f} ms")
    report.add(part, "a token over its floor", f"{ours / floor:.2f} x", "<= 2 x", ours <= 2 * floor)
    plain_ms = statistics.median(tokens["kernel by kernel"])
    report.add(
        part, "faster by captured graphs", f"{plain_ms / ours:.1f} x", "> 1 x", plain_ms > ours
    )
    report.add(part, "faster than generate", f"{theirs / ours:.1f} x", ">= 2 x", theirs >= 2 * ours)
    for length in PROMPT_IDS:
        mine, other = (
            statistics.median(prompts[name][length]) for name in ("captured graphs", "transformers")
        )
        report.add(part, f"first id of a prompt of {length} ids", f"{mine:.2f} ms")
        report.add(
            part,
            "  transformers over ours",
            f"{other / mine:.2f} x ({other:.2f} ms)",
            ">= 1 x",
            other >= mine,
        )
    report.keep(
        part, {"tokens_ms": tokens, "prompts_ms": prompts, "generate_ms": generated, **memory}
    )
    for name, figure in memory.items():
        report.add(part, name.replace("_", " "), f"{figure:.2f}")
    for engine in engines.values():
        engine.close()
    engines.clear()
    _collect(llama.device)


def agree(llama: Llama, report: Report, *, on_cpu: bool) -> None:
    """Compare bfloat16 with float32 on the device, and the device with the CPU in float32."""
    part = f"llama {llama.size}"
    turns = [Turn(prompt(60, seed), 0, prompt(24, seed + 100)) for seed in range(6)]
    exact = llama.decoder(TorchDecoder, "fp32", llama.device)
    reference = refer(exact, turns)
    fast = llama.decoder(GraphDecoder, "bf16", llama.device)
    quality = compare(reference, fast)
    report.add(
        part,
        "bfloat16 with graphs against float32: divergence",
        f"{quality.divergence:.5f} nats",
        f"<= {MOST_DIVERGENCE}",
        quality.divergence <= MOST_DIVERGENCE,
    )
    # Random weights give many ids nearly the same score, so the likeliest one says less.
    report.add(part, "  the same id likeliest", f"{quality.agreement:.1%}", "")
    found: dict[str, float] = {"divergence": quality.divergence, "agreement": quality.agreement}
    if on_cpu:
        other = llama.decoder(TorchDecoder, "fp32", "cpu")
        same = compare(reference, other)
        right = torch.from_numpy(reference.expected[0])
        turn = turns[0]
        rows = other.every_score([*turn.prompt, *turn.answer[:-1]], other.new_cache(128), 0)
        error = rows[len(turn.prompt) - 1 :] - right
        snr = float(20 * torch.log10(right.norm() / error.norm()))
        report.add(
            part, "scores on GPU and CPU, float32: ratio", f"{snr:.0f} dB", ">= 60", snr >= 60
        )
        report.add(
            part,
            "  divergence",
            f"{same.divergence:.7f} nats",
            f"<= {MOST_DIVERGENCE}",
            same.divergence <= MOST_DIVERGENCE,
        )
        report.add(
            part,
            "  the same id likeliest",
            f"{same.agreement:.1%}",
            f">= {LEAST_AGREEMENT:.0%}",
            same.agreement >= LEAST_AGREEMENT,
        )
        found |= {"cpu_snr_db": snr, "cpu_divergence": same.divergence}
    report.keep(f"{part} agreement", found)
    del exact, fast
    _collect(llama.device)


def _until_id(reply: Iterator[int | None]) -> float:
    """Return the time to the next id; None stands for a piece of a prompt."""
    return milliseconds(lambda: next(found for found in reply if found is not None))


def _fast(llama: Llama, kind: type[TorchDecoder]) -> FastEngine:
    return FastEngine(
        llama.decoder(kind, "bf16", llama.device), prefix=[5, 6, 7], temperature=0.0, seed=0
    )


def _transformers(llama: Llama) -> TransformersEngine:
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(
        llama.folder, dtype=torch.bfloat16, local_files_only=True
    )
    model.generation_config.eos_token_id = None  # no reply ends early
    return TransformersEngine(model.to(llama.device).eval(), temperature=0.0, seed=0)


def _generate(engine: Any, ids: Ids, device: str) -> float:
    """Return how long transformers' own ``generate`` takes for `TOKENS` ids, without the prompt."""
    given = torch.tensor([ids], device=device)

    def generate(count: int) -> float:
        return milliseconds(
            lambda: engine._model.generate(
                given,
                attention_mask=torch.ones_like(given),
                max_new_tokens=count,
                do_sample=False,
            ).cpu()
        )

    return generate(TOKENS + 1) - generate(1)


def _memory(device: str) -> dict[str, float]:
    if not device.startswith("cuda"):
        return {}
    return {"allocated_gb": torch.cuda.memory_allocated(device) / 1e9}


def _collect(device: str) -> None:
    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
