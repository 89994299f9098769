"""Measurements of a model on this machine, kept in the cache between runs.

It holds the quality of each way to compute the model, and the exact keys and values of the prefixes
that its prompts begin with. A file that is missing, damaged or not writable costs time, because it
is measured or computed again.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from voicebench.engines.llm.agreement import Quality
from voicebench.engines.models.cache import cache_folder, known_sha256, recall, remember
from voicebench.engines.models.fetch_progress import Say
from voicebench.engines.models.kept import replace_file
from voicebench.engines.native.library import native_digest, processor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

REVISION = 1
"""Raise it when new code would measure something else for the same model and machine."""

_MOST_PREFIXES = 16
_DIGEST_BYTES = 32
"""A prefix file begins with the SHA-256 of the rest: a megabyte takes a millisecond to check."""


class Findings:
    """The measurements of the model in one folder that are valid for this machine."""

    def __init__(self, model_folder: Path, *, device: str) -> None:
        digest = hashlib.sha256()
        for file in sorted([*model_folder.glob("*.safetensors"), *model_folder.glob("*.json")]):
            digest.update(f"{file.name} {known_sha256(file)}\n".encode())
        model = digest.hexdigest()
        machine = f"{REVISION} {_version_of_torch()} {device} {processor()} {native_digest()}"
        self._key = f"{model} {machine}"
        self._prefixes = cache_folder() / "prefixes" / model[:32]

    def quality(self, option: str) -> Quality | None:
        """Return the quality of a decoder option, or None if it was not measured."""
        known = recall("findings", self._quality_key(option))
        if known is None or known.keys() != {"agreement", "divergence", "positions"}:
            return None
        return Quality(known["agreement"], known["divergence"], int(known["positions"]))

    def add_quality(self, option: str, quality: Quality) -> None:
        """Keep a measured quality."""
        figures = {
            "agreement": quality.agreement,
            "divergence": quality.divergence,
            "positions": quality.positions,
        }
        remember("findings", self._quality_key(option), figures)

    def prefix(
        self, ids: Sequence[int], say: Say
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """Return the kept keys and values of a prefix; None if they are missing or damaged."""
        from safetensors.numpy import load

        try:
            stored = self._prefix_file(ids).read_bytes()
        except OSError:
            return None
        digest, content = stored[:_DIGEST_BYTES], stored[_DIGEST_BYTES:]
        if hashlib.sha256(content).digest() != digest:
            say("the saved state of the system prompt is damaged in the cache; computing it again")
            return None
        kept = load(content)
        return kept["keys"], kept["values"]

    def add_prefix(
        self, ids: Sequence[int], keys: NDArray[np.float32], values: NDArray[np.float32]
    ) -> None:
        """Keep the keys and values of a prefix, and remove the oldest of too many."""
        from safetensors.numpy import save

        content = save({"keys": keys, "values": values})
        replace_file(self._prefix_file(ids), hashlib.sha256(content).digest() + content)
        with contextlib.suppress(OSError):
            files = sorted(self._prefixes.iterdir(), key=lambda file: file.stat().st_mtime)
            for file in files[:-_MOST_PREFIXES]:
                file.unlink()

    def _quality_key(self, option: str) -> str:
        return hashlib.sha256(f"{self._key} {option}".encode()).hexdigest()[:32]

    def _prefix_file(self, ids: Sequence[int]) -> Path:
        digest = hashlib.sha256(f"{REVISION} {list(ids)}".encode()).hexdigest()
        return self._prefixes / f"{digest[:32]}.state"


def _version_of_torch() -> str:
    try:
        return version("torch")
    except PackageNotFoundError:
        return "none"
