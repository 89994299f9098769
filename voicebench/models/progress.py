"""How the slow work on models tells how far it is, without knowing who looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Stage = Literal["wait", "fetch", "check", "unpack", "convert"]
"""What is being done: wait for another process, fetch, check the hash, unpack, convert."""


@dataclass(frozen=True, slots=True)
class Step:
    """How far one model's work is: ``done`` of ``total`` bytes (of parts, while converting).

    ``total`` is None where it cannot be known.
    """

    model: str
    stage: Stage
    done: int = 0
    total: int | None = None


Report = Callable[[Step], None]
"""Take note of a step; called from the thread that does the work, some ten times a second."""


def ignore(step: Step) -> None:
    """Take no note of a step."""
