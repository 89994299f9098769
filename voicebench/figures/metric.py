"""A metric as data: one number of a turn, with its name, its meaning and how it is computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from voicebench.turn.call_turn import CallKind
from voicebench.turn.timeline import Timeline

Unit = Literal["ms", "s", "count", "x", "per_s", "bool", "share"]
Better = Literal["lower", "higher", "neither"]

NS_PER_MS = 1_000_000
CALL_KINDS: tuple[CallKind, ...] = ("line", "interruption", "noise")


@dataclass(frozen=True, slots=True)
class Metric:
    """One number of a turn."""

    name: str
    doc: str
    """What it means: what its interval includes and what not."""
    of: Callable[[Timeline], float | None]
    """Computes it; None where the turn does not show it."""
    unit: Unit = "ms"
    better: Better = "lower"
    may_be_negative: bool = False
    of_failed: bool = False
    """Whether a failed turn counts too: an outcome, such as an answer that never came."""
    confirmed_by: str = ""
    """The metric, 0 or 1, that says whether the event was observed. Where it is 0, the value is
    *censored*: it is not missing, but unknown and large."""

    kinds: tuple[CallKind, ...] = ()
    """The kinds of turns of a call that can show it; empty for all. In the statistics of calls,
    turns of other kinds are not missing."""

    @property
    def short_name(self) -> str:
        """The name in gates: without ``_ms``."""
        return self.name.removesuffix("_ms")
