"""How the slow work on models tells how far it is, without knowing who looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Stage = Literal["damaged", "wait", "fetch", "check", "unpack", "convert"]
"""What is being done: make anew what is damaged, wait for another process, fetch, check the hash,
unpack, convert."""


@dataclass(frozen=True, slots=True)
class Step:
    """How far one model's work is: ``done`` of ``total`` bytes (of parts, while converting).

    ``total`` is None where it cannot be known. ``detail`` says what is damaged.
    """

    model: str
    stage: Stage
    done: int = 0
    total: int | None = None
    detail: str = ""


Report = Callable[[Step], None]
"""Take note of a step; called from the thread that does the work, some ten times a second."""


def ignore(step: Step) -> None:
    """Take no note of a step."""


Say = Callable[[str], None]
"""Take one line about what is going on, for people who wait."""


def say_nothing(line: str) -> None:
    """Tell nobody."""


def told(say: Say) -> Report:
    """Return what tells people of damage alone: all other steps are told by who asked for them."""

    def take(step: Step) -> None:
        if step.stage == "damaged":
            say(f"{step.model} is damaged in the cache ({step.detail}), and is made anew")

    return take
