"""The kinds of turns of a level: they decide how many of its turns count for a gate.

A turn of text counts for what it shows. A turn of a spoken call is a step of its script: a line, an
interruption or a noise, and each metric of calls is of some of these kinds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from voicebench.figures.metric import Metric
from voicebench.turn.call_turn import CallKind

UNTIL_FIRST_AUDIO = frozenset(
    {"late_ms", "client_lag_ms", "setup_ms", "connect_ms", "first_byte_ms", "llm_ttft_ms"}
    | {"first_chunk_ms", "tts_ttfb_ms", "first_audio_ms", "first_audio_due_ms"}
)
"""Metrics that a turn shows by its first audio, before anyone interrupts it."""
OF_INTERRUPTED = frozenset({"stop_ms", "wasted_audio_s"})
OF_INTERRUPTING = frozenset({"interrupting_first_audio_ms"})
OF_FIRST_TURNS = frozenset({"setup_ms"})
"""Metrics that only the first turn of a call shows."""
SHOWN_BY_SPOKEN = frozenset(
    {"late_ms", "client_lag_ms", "setup_ms", "first_audio_due_ms", "first_sound_due_ms"}
    | OF_INTERRUPTING
)
"""Metrics that turns of text and spoken turns show alike."""
ANSWERED_KINDS: tuple[CallKind, ...] = ("line", "interruption")
"""The steps that ask for an answer."""


@dataclass(frozen=True, slots=True)
class TurnMix:
    """The turns of a level, as far as it is known beforehand."""

    cut_share: float = 0.0
    """The share that callers are to interrupt."""
    turns_of_call: float = 1.0
    """The mean number."""
    kinds: Mapping[CallKind, float] | None = None
    """The shares of the kinds of steps in the script; None: the turns are of text."""

    def counted_share(self, metric: Metric | None) -> float:
        """Return the share of the turns that count for a limit on ``metric``; None for a rate."""
        if metric is None:
            return 1.0
        if metric.name in OF_FIRST_TURNS:
            return 1.0 / max(self.turns_of_call, 1.0)
        if self.kinds is not None:
            return sum(self.kinds.get(kind, 0.0) for kind in kinds_of(metric))
        if metric.name in OF_INTERRUPTED | OF_INTERRUPTING:
            return self.cut_share
        return 1.0 if metric.name in UNTIL_FIRST_AUDIO else 1.0 - self.cut_share

    def why_not_shown(self, metric: Metric | None) -> str:
        """Return why no turn shows ``metric``; empty if some do."""
        if metric is None or metric.name in SHOWN_BY_SPOKEN | OF_INTERRUPTED:
            return ""
        if self.kinds is None:
            return "only callers who speak show it (--agent)" if metric.kinds else ""
        return "" if metric.kinds else "callers who speak do not show it"


OF_TEXT = TurnMix()
"""Turns that are heard out, each by itself."""


def mix_of_script(kinds: Iterable[CallKind]) -> TurnMix:
    """Return the turns of calls whose steps have these kinds."""
    counts = Counter(kinds)
    steps = counts.total()
    return TurnMix(0.0, steps, {kind: count / steps for kind, count in counts.items()})


def kinds_of(metric: Metric) -> tuple[CallKind, ...]:
    """Return the kinds of steps that count for a limit on ``metric``."""
    if metric.name in OF_INTERRUPTED | OF_INTERRUPTING:
        return ("interruption",)
    return metric.kinds or ANSWERED_KINDS
