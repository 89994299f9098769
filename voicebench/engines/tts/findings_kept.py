"""What was found out about a voice on this machine, kept between runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from voicebench.engines.models.cache import cache_folder
from voicebench.engines.models.kept import read_kept, write_kept


def recall(kind: str, key: str) -> dict[str, float] | None:
    """Return the figures of this ``kind`` that were kept under ``key``; None if there are none."""
    stored = read_kept(_file(kind, key))
    try:
        return {name: float(figure) for name, figure in stored.items()}  # type: ignore[attr-defined]
    except (ValueError, AttributeError, TypeError):
        return None


def remember(kind: str, key: str, figures: Mapping[str, float]) -> None:
    """Keep ``figures`` under ``key``."""
    write_kept(_file(kind, key), dict(figures))


def _file(kind: str, key: str) -> Path:
    return cache_folder() / kind / f"{key}.json"
