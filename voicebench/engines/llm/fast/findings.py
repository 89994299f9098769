"""What was found out about a model on this machine, kept between runs.

Speed and quality of the ways to compute it, and the exact keys and values of the prefixes that its
prompts begin with. All of it can be found out again; a file that cannot be read or written, or is
damaged, costs time and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voicebench.engines.llm.agreement import Quality
from voicebench.engines.models.cache import cache_folder, known_sha256
from voicebench.engines.models.kept import read_kept, replace_file, write_kept
from voicebench.engines.native.library import native_digest, processor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

REVISION = 1
"""Raised when the same model and machine would be judged otherwise by new code."""

_MOST_PREFIXES = 16
_DIGEST_BYTES = 32
"""The SHA-256 of a prefix's keys and values stands before them: a megabyte takes a millisecond."""


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

    def prefix(
        self, ids: Sequence[int], say: Callable[[str], None]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """Return the kept keys and values of a prefix; None where they are not there or damaged."""
        from safetensors.numpy import load

        try:
            stored = self._prefix_file(ids).read_bytes()
        except OSError:
            return None
        digest, content = stored[:_DIGEST_BYTES], stored[_DIGEST_BYTES:]
        if hashlib.sha256(content).digest() != digest:
            say("the kept state of the system prompt is damaged in the cache, and is made anew")
            return None
        kept = load(content)
        return kept["keys"], kept["values"]

    def add_prefix(
        self, ids: Sequence[int], keys: NDArray[np.float32], values: NDArray[np.float32]
    ) -> None:
        """Keep the keys and values of a prefix; the oldest make room for it."""
        from safetensors.numpy import save

        content = save({"keys": keys, "values": values})
        replace_file(self._prefix_file(ids), hashlib.sha256(content).digest() + content)
        with contextlib.suppress(OSError):
            files = sorted(self._prefixes.iterdir(), key=lambda file: file.stat().st_mtime)
            for file in files[:-_MOST_PREFIXES]:
                file.unlink()

    def _timed(self, candidate: str) -> str:
        return f"{candidate}, threads: {self._threads}"

    def _prefix_file(self, ids: Sequence[int]) -> Path:
        digest = hashlib.sha256(f"{REVISION} {list(ids)}".encode()).hexdigest()
        return self._prefixes / f"{digest[:32]}.state"

    def _write(self) -> None:
        write_kept(self._file, self._known)


def _read(file: Path) -> dict[str, dict[str, Any]]:
    known: dict[str, dict[str, Any]] = {"speed": {}, "quality": {}}
    content = read_kept(file)
    for kind in known:
        if isinstance(content, dict) and isinstance(content.get(kind), dict):
            known[kind] = content[kind]
    return known
