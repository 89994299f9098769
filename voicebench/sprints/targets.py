"""What every sprint is held to, whatever the gates of its runs allow.

The limits are those of the sprint of reference. A run may have looser or stricter gates of its own;
a score that followed them would compare limits, not sprints.
"""

from __future__ import annotations

from dataclasses import dataclass

from voicebench.report.runs import FIRST_AUDIO_LIMIT_MS


@dataclass(frozen=True, slots=True)
class SprintTarget:
    """A duration, the statistic that is held to the limit, and the limit (a figure is under it)."""

    metric: str
    statistic: str
    limit_ms: float

    @property
    def name(self) -> str:
        """The figure as gates write it: ``first_audio.p95``."""
        return f"{self.metric}.{self.statistic}"


TARGETS = (
    SprintTarget("llm_total", "mean", 200.0),
    SprintTarget("tts_ttfb", "p95", 100.0),
    SprintTarget("first_audio", "p95", FIRST_AUDIO_LIMIT_MS),
)
LIMITS_MS = {target.metric: target.limit_ms for target in TARGETS}
