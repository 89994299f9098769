"""What was found out about a voice on this machine, kept between runs.

All of it can be found out again; a file that cannot be read or written costs time, nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from threading import get_ident

from voicebench.models.cache import cache_folder


def recall(kind: str, key: str) -> dict[str, float] | None:
    """Return the figures of this ``kind`` that were kept under ``key``; None if there are none."""
    try:
        stored = json.loads(_file(kind, key).read_text(encoding="utf-8"))
        return {name: float(figure) for name, figure in stored.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return None


def remember(kind: str, key: str, figures: Mapping[str, float]) -> None:
    """Keep ``figures`` under ``key``."""
    file = _file(kind, key)
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f".{file.name}.{os.getpid()}-{get_ident()}")
        temporary.write_text(json.dumps(dict(figures)), encoding="utf-8")
        temporary.replace(file)


def _file(kind: str, key: str) -> Path:
    return cache_folder() / kind / f"{key}.json"
