"""Progress of slow work on models, independent of its display."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Stage = Literal["damaged", "wait", "fetch", "check", "unpack", "convert"]
"""What is being done: repair something damaged, wait for another process, fetch, check the hash,
unpack, convert."""


@dataclass(frozen=True, slots=True)
class Step:
    """The progress of one model: ``done`` of ``total`` bytes (parts, while converting).

    ``total`` is None if unknown. ``detail`` says what is damaged.
    """

    model: str
    stage: Stage
    done: int = 0
    total: int | None = None
    detail: str = ""


Report = Callable[[Step], None]
"""Receives a step; called in the working thread, some ten times a second."""


def ignore(step: Step) -> None:
    """Do nothing with a step."""


Say = Callable[[str], None]
"""Receives one line about slow work, for the user."""


def say_nothing(line: str) -> None:
    """Show nothing."""


def reporting_damage(say: Say) -> Report:
    """Return a `Report` that says only what is damaged."""

    def take(step: Step) -> None:
        if step.stage == "damaged":
            say(f"{step.model} is damaged in the cache ({step.detail}), and is made again")

    return take
