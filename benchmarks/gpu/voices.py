"""Time to the first samples, real-time factor and agreement of voices, on a GPU and on the CPU."""

from __future__ import annotations

import statistics
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.gpu.judged import Report, milliseconds
from voicebench.engines.tts.fitting import LEAST_SNR_DB
from voicebench.engines.tts.hibari.hibari_synthesizer import HibariSynthesizer
from voicebench.engines.tts.local_synthesizer import LocalSynthesizer
from voicebench.engines.tts.speech_noise import snr_db
from voicebench.engines.tts.synthesizer import load_synthesizer
from voicebench.engines.tts.vits.vits_synthesizer import VitsSynthesizer
from voicebench.errors import SettingsError
from voicebench.events import AudioChunk

OPENINGS = (
    "The capital of",
    "A good way",
    "You could try",
    "It depends on",
    "Water boils at",
    "In the morning",
    "Most people like",
    "There are three",
)
SENTENCE = "The capital of France is Paris, and it has been so for centuries."
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Way:
    """A device and the kernels that compute there, with or without recorded windows."""

    name: str
    device: str
    kernels: str
    recorded: bool = True


def ways(device: str) -> list[Way]:
    """Return every way to compute a voice: on ``device`` and on the CPU."""
    found = [Way("C on the CPU", "cpu", "native"), Way("torch on the CPU", "cpu", "torch")]
    if device != "cpu":
        found = [
            Way(f"{device}, windows replayed", device, "torch"),
            Way(f"{device}, kernel by kernel", device, "torch", recorded=False),
            *found,
        ]
    return found


def measure(part: str, voice: str, device: str, report: Report) -> None:
    """Measure ``voice`` (a name or a folder) every way."""
    synthesizers: dict[str, LocalSynthesizer] = {}
    for way in ways(device):
        try:
            loaded = load_synthesizer(
                voice, device=way.device, kernels=way.kernels, dtype="float32"
            )
        except SettingsError as error:
            report.add(part, way.name, f"not here: {error}"[:60])
            continue
        if not way.recorded:
            _compute_kernel_by_kernel(loaded)
        synthesizers[way.name] = loaded
        described = loaded.describe()
        report.keep(f"{part} {way.name}", described)
        if way.device != "cpu" and way.recorded:
            windows: Any = described["windows"]
            report.add(
                part, "recorded windows are replayed", str(windows["replayed"]), "True",
                windows["replayed"] is True,
            )  # fmt: skip
    first: dict[str, list[float]] = {name: [] for name in synthesizers}
    for turn in range(ROUNDS + 1):
        for name, synthesizer in synthesizers.items():
            for text in OPENINGS:
                took = _first_ms(synthesizer, text)
                first[name] += [took] if turn else []
    factors = {name: _real_time_factor(one) for name, one in synthesizers.items()}
    for name, times in first.items():
        middle, high = np.percentile(times, (50, 95))
        report.add(part, f"first samples of 3 words, {name}", f"{middle:.2f} ms, p95 {high:.2f}")
        report.add(part, "  seconds of speech per second", f"{1 / factors[name]:.0f}")
    _compare(part, synthesizers, report)
    report.keep(part, {"first_samples_ms": first, "real_time_factors": factors})
    replayed, one_by_one = (first.get(way.name) for way in ways(device)[:2])
    if device != "cpu" and replayed and one_by_one:
        gain = statistics.median(one_by_one) / statistics.median(replayed)
        report.add(part, "sooner by replayed windows", f"{gain:.1f} x", "> 1 x", gain > 1)


def against_transformers(folder: Path, device: str, report: Report) -> None:
    """Measure when transformers has the samples of an opening: all at once."""
    from transformers import VitsModel, VitsTokenizer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model: Any = VitsModel.from_pretrained(folder).eval().to(device)
        tokenizer: Any = VitsTokenizer.from_pretrained(folder)

    def speak(text: str) -> None:
        ids = torch.tensor([tokenizer(text)["input_ids"]], device=device)
        with torch.inference_mode():
            model(ids).waveform.cpu()

    times = []
    for turn in range(ROUNDS + 1):
        for text in OPENINGS:
            took = milliseconds(partial(speak, text))
            times += [took] if turn else []
    middle, high = np.percentile(times, (50, 95))
    name = "samples of 3 words, transformers on the GPU"
    report.add("mms shape", name, f"{middle:.2f} ms, p95 {high:.2f}")
    report.keep("mms shape transformers", times)


def _compute_kernel_by_kernel(synthesizer: LocalSynthesizer) -> None:
    network: Any = (
        synthesizer.network
        if isinstance(synthesizer, HibariSynthesizer)
        else synthesizer._arithmetic
        if isinstance(synthesizer, VitsSynthesizer)
        else None
    )
    if hasattr(network, "recorded"):
        network.recorded = None
    else:
        network.replays = None


def _first_ms(synthesizer: LocalSynthesizer, text: str) -> float:
    speech = synthesizer.speak_opening(text)
    took = milliseconds(lambda: next(event for event in speech if isinstance(event, AudioChunk)))
    for _ in speech:  # the rest, which is not measured
        pass
    return took


def _real_time_factor(synthesizer: LocalSynthesizer) -> float:
    """Return the time to stream a sentence over its length: the best of three."""
    best = float("inf")
    for _ in range(3):
        samples = 0

        def speak() -> None:
            nonlocal samples
            for event in synthesizer.speak(SENTENCE):
                samples += event.pcm.size if isinstance(event, AudioChunk) else 0

        took = milliseconds(speak)
        best = min(best, took / 1000 / (samples / synthesizer.sample_rate))
    return best


def _compare(part: str, synthesizers: dict[str, LocalSynthesizer], report: Report) -> None:
    """Compare the speech of each way, in windows, with torch on the CPU in one window."""
    right = synthesizers["torch on the CPU"].speak_whole([SENTENCE])
    for name, synthesizer in synthesizers.items():
        pieces = [e.pcm for e in synthesizer.speak(SENTENCE) if isinstance(e, AudioChunk)]
        found = np.concatenate(pieces)
        if found.size != right.size:
            report.add(
                part, f"  {name}: another length", f"{found.size - right.size:+} samples",
                "the same", False,
            )  # fmt: skip
            continue
        ratio = snr_db(right, found)
        report.add(
            part, f"  {name}, above the error", f"{ratio:.0f} dB", f">= {LEAST_SNR_DB:.0f} dB",
            ratio >= LEAST_SNR_DB,
        )  # fmt: skip
