"""Run the benchmark: ``python -m benchmarks.gpu`` (or ``make bench-gpu``)."""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu import ceiling, decoders, voices, whole_turns
from benchmarks.gpu.judged import Report
from benchmarks.gpu.random_models import LLAMAS, TOKENIZER_FILES, write_llama, write_vits
from voicebench.engines.models.cache import cache_folder
from voicebench.errors import DeviceError
from voicebench.machine.devices import resolve_device

PARTS = ("voices", "decoders", "turns", "agreement")
HIBARI = "hibari-heart"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, and write ``gpu.json``; 1 if something asked for is not kept."""
    chosen = _parser().parse_args(arguments)
    try:
        device = resolve_device(chosen.device)
    except DeviceError as error:
        print(f"{error}; {error.remedy}", file=sys.stderr)
        return 2
    chosen.out.mkdir(parents=True, exist_ok=True)
    report = Report(chosen.out)
    report.keep("machine", _machine(device))
    print(_machine(device))
    rates = ceiling.measure(device)
    report.add("memory", "read", f"{rates.read / 1e9:.0f} GB/s")
    report.add("memory", "copy, bytes read and written", f"{rates.copy / 1e9:.0f} GB/s")
    tokenizer = chosen.tokenizer or _tokenizer_at_hand()
    with tempfile.TemporaryDirectory(dir=chosen.models) as made:
        models = Path(made)
        if "voices" in chosen.parts:
            _voices(models, device, report)
        for number, size in enumerate(chosen.sizes):
            folder = models / size
            with report.part(f"llama {size}"):
                write_llama(folder, size, device, tokenizer)
                llama = decoders.opened(size, folder, device)
                if "decoders" in chosen.parts:
                    decoders.measure(llama, rates, report)
                if "agreement" in chosen.parts:
                    decoders.agree(llama, report, on_cpu=number == 0)
                del llama
            if "turns" in chosen.parts and tokenizer is not None:
                _turns(folder, size, device, chosen.out, report)
    lost = [row for row in report.rows if row.kept is False]
    print(f"{sum(row.kept is True for row in report.rows)} kept, {len(lost)} not kept")
    for row in lost:
        print(f"  NOT KEPT: {row.part}: {row.name}: {row.found} (asked: {row.asked})")
    report.keep("complete", True)
    return 1 if lost else 0


def _voices(models: Path, device: str, report: Report) -> None:
    folder = models / "mms-shape"
    with report.part("mms shape"):
        folder.mkdir()
        write_vits(folder)
        voices.measure("mms shape", str(folder), device, report)
        voices.against_transformers(folder, device, report)
    if not (cache_folder() / "models").is_dir() or not list(_at_hand(HIBARI)):
        report.add("hibari", "the voice is not in the cache", "")
        return
    with report.part("hibari"):
        voices.measure("hibari", HIBARI, device, report)


def _turns(model: Path, size: str, device: str, out: Path, report: Report) -> None:
    if not list(_at_hand(HIBARI)):
        return
    pairs = {"both on the GPU": device, "voice on the CPU": "cpu"}
    for name, voice_device in pairs.items():
        with report.part("whole turn"):
            devices = {"llm": device, "tts": voice_device}
            whole_turns.measure(
                report, f"{size}, {name}", model=model, voice=HIBARI, devices=devices, folder=out
            )


def _at_hand(model: str) -> list[Path]:
    """Return the folders of a catalogue's model in the cache."""
    return list((cache_folder() / "models").glob(f"{model}-*"))


def _tokenizer_at_hand() -> Path | None:
    for folder in _at_hand("smollm2"):
        if all((folder / name).is_file() for name in TOKENIZER_FILES):
            return folder
    return None


def _machine(device: str) -> dict[str, object]:
    found: dict[str, object] = {
        "device": device,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
    }
    if device.startswith("cuda"):
        properties: Any = torch.cuda.get_device_properties(device)
        found |= {
            "name": properties.name,
            "memory_gb": round(properties.total_memory / 1e9, 1),
            "multiprocessors": properties.multi_processor_count,
            "cuda": torch.version.cuda,
        }
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N, or cpu to try it")
    parser.add_argument("--out", type=Path, default=Path("build/gpu"), help="folder of gpu.json")
    parser.add_argument("--models", type=Path, help="folder with room for the models (12 GB)")
    parser.add_argument("--sizes", nargs="*", choices=list(LLAMAS), default=["1B", "3B"])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--tokenizer", type=Path, help="folder with tokenizer.json")
    return parser


if __name__ == "__main__":
    sys.exit(main())
