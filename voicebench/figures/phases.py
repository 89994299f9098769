"""What the turns outside the statistics took, beside the measured ones.

The first turn after loading (``cold``) and the first after a silence (``idle``) are what a user
meets who does not come in a steady stream. They are too few for percentiles and are never mixed
with the measured turns; what one wants to know of them is how much later they are heard, and
whether their connections had survived.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from voicebench.events import Phase
from voicebench.figures.columns import Columns
from voicebench.figures.summary import Summary

FIRST_TURNS: tuple[Phase, ...] = ("cold", "idle")
"""Phases whose figures stand beside the measured ones; warm-up turns stand for nothing."""


@dataclass(frozen=True, slots=True)
class PhaseFigures:
    """The figures of one phase; medians, over its turns that show them."""

    phase: Phase
    turns: int
    failed: int
    first_audio_ms: float | None
    over_measured_ms: float | None
    """First audio less that of the measured turns, median less median."""
    connect_ms: float | None
    connection_reused: float | None
    """The share of turns whose every connection had served before."""

    def as_dict(self) -> dict[str, object]:
        """Return the entry of ``summary.json``."""
        return {
            "turns": self.turns,
            "failed": self.failed,
            "first_audio_ms": self.first_audio_ms,
            "over_measured_ms": self.over_measured_ms,
            "connect_ms": self.connect_ms,
            "connection_reused": self.connection_reused,
        }


def phase_figures(phases: Mapping[Phase, Columns], measured: Summary) -> list[PhaseFigures]:
    """Return the figures of each of `FIRST_TURNS` that has a turn, in order of time."""
    return [
        figures_of(phase, phases[phase].summary(), measured)
        for phase in FIRST_TURNS
        if phase in phases
    ]


def figures_of(phase: Phase, summary: Summary, measured: Summary) -> PhaseFigures:
    """Return the figures of one phase from its ``summary``."""
    first_audio = _middle(summary, "first_audio_ms")
    usual = None if phase == "measured" else _middle(measured, "first_audio_ms")
    return PhaseFigures(
        phase=phase,
        turns=summary.turns,
        failed=summary.failed,
        first_audio_ms=first_audio,
        over_measured_ms=None if first_audio is None or usual is None else first_audio - usual,
        connect_ms=_middle(summary, "connect_ms"),
        connection_reused=summary.metrics["connection_reused"].mean(),
    )


def _middle(summary: Summary, metric: str) -> float | None:
    return summary.metrics[metric].quantile(50)[0]
