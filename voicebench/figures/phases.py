"""The figures of cold and idle turns, beside those of the measured turns.

The first turn after loading (``cold``) and the first after a silence (``idle``) are what an
occasional user experiences. They are too few for percentiles and are never mixed with the measured
turns. Their figures show how much later they are heard, and whether their connections were reused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from voicebench.events import Phase
from voicebench.figures.columns import Columns
from voicebench.figures.summary import Summary

FIRST_TURNS: tuple[Phase, ...] = ("cold", "idle")
"""Phases whose figures are shown beside the measured ones; warm-up turns are not."""


@dataclass(frozen=True, slots=True)
class PhaseFigures:
    """The figures of one phase: medians over its turns that show them."""

    phase: Phase
    turns: int
    failed: int
    first_audio_ms: float | None
    over_measured_ms: float | None
    """The median of first audio minus that of the measured turns."""
    connect_ms: float | None
    connection_reused: float | None
    """The share of turns that reused all their connections."""

    def as_dict(self) -> dict[str, object]:
        """Return the entry of ``summary.json``."""
        return {name: value for name, value in asdict(self).items() if name != "phase"}


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
