"""What was found out about a model on this machine, kept between runs.

Speed and quality of the ways to compute it, and the exact keys and values of the prefixes that its
prompts begin with. All of it can be found out again; a file that cannot be read or written costs
time and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voicebench.llm.quality import Quality
from voicebench.models.cache import cache_folder, known_sha256
from voicebench.native.library import native_digest, processor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

REVISION = 1
"""Raised when the same model and machine would be judged otherwise by new code."""

_MOST_PREFIXES = 16


class Findings:
    """The findings on the model in one folder, as far as they hold for this machine."""

    def __init__(self, model_folder: Path, *, device: str, threads: int) -> None:
        """Read what is known. Speed depends on ``threads``; quality does not."""
        digest = hashlib.sha256()
        for file in sorted([*model_folder.glob("*.safetensors"), *model_folder.glob("*.json")]):
            digest.update(f"{file.name} {known_sha256(file)}\n".encode())
        model = digest.hexdigest()
        machine = f"{REVISION} {version('torch')} {device} {processor()} {native_digest()}"
        name = hashlib.sha256(f"{model} {machine}".encode()).hexdigest()[:32]
        self._file = cache_folder() / "findings" / f"{name}.json"
        self._prefixes = cache_folder() / "prefixes" / model[:32]
        self._known = _read(self._file)
        self._threads = threads

    def speed(self, candidate: str) -> float | None:
        """Return the milliseconds of a short turn, or None where it was not measured."""
        known = self._known["speed"].get(self._timed(candidate))
        return float(known) if isinstance(known, int | float) else None

    def add_speed(self, candidate: str, milliseconds: float) -> None:
        """Keep a measured speed."""
        self._known["speed"][self._timed(candidate)] = milliseconds
        self._write()

    def quality(self, candidate: str) -> Quality | None:
        """Return the quality, or None where it was not measured."""
        with contextlib.suppress(KeyError, TypeError):
            return Quality(**self._known["quality"][candidate])
        return None

    def add_quality(self, candidate: str, quality: Quality) -> None:
        """Keep a measured quality."""
        self._known["quality"][candidate] = {
            "agreement": quality.agreement,
            "divergence": quality.divergence,
            "positions": quality.positions,
        }
        self._write()

    def prefix(self, ids: Sequence[int]) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """Return the kept keys and values of a prefix, or None."""
        import safetensors
        from safetensors.numpy import load_file

        file = self._prefix_file(ids)
        with contextlib.suppress(OSError, KeyError, safetensors.SafetensorError):
            kept = load_file(file)
            return kept["keys"], kept["values"]
        return None

    def add_prefix(
        self, ids: Sequence[int], keys: NDArray[np.float32], values: NDArray[np.float32]
    ) -> None:
        """Keep the keys and values of a prefix; the oldest make room for it."""
        from safetensors.numpy import save

        _replace(self._prefix_file(ids), save({"keys": keys, "values": values}))
        with contextlib.suppress(OSError):
            files = sorted(self._prefixes.iterdir(), key=lambda file: file.stat().st_mtime)
            for file in files[:-_MOST_PREFIXES]:
                file.unlink()

    def _timed(self, candidate: str) -> str:
        return f"{candidate}, threads: {self._threads}"

    def _prefix_file(self, ids: Sequence[int]) -> Path:
        digest = hashlib.sha256(f"{REVISION} {list(ids)}".encode()).hexdigest()
        return self._prefixes / f"{digest[:32]}.safetensors"

    def _write(self) -> None:
        _replace(self._file, json.dumps(self._known, indent=1).encode())


def _read(file: Path) -> dict[str, dict[str, Any]]:
    known: dict[str, dict[str, Any]] = {"speed": {}, "quality": {}}
    with contextlib.suppress(OSError, ValueError):
        content = json.loads(file.read_text(encoding="utf-8"))
        for kind in known:
            if isinstance(content, dict) and isinstance(content.get(kind), dict):
                known[kind] = content[kind]
    return known


def _replace(file: Path, content: bytes) -> None:
    """Write a file whole or not at all; a cache that cannot be written is no error."""
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(content)
            os.replace(temporary, file)
        finally:
            temporary.unlink(missing_ok=True)
