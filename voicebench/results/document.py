"""``summary.json``: the results of a run as one JSON document.

``voicebench run --json`` prints the same document. Its ``schema`` rises when a field changes its
meaning or is removed. Fields may be added without that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from voicebench.events import Phase
from voicebench.figures.columns import Columns
from voicebench.figures.phases import phase_figures
from voicebench.figures.summary import Summary
from voicebench.figures.turn_numbers import by_turn_number
from voicebench.judging.digest import Digest
from voicebench.judging.final import Final
from voicebench.judging.gates import GateResult
from voicebench.results.codec import SCHEMA

OTHER_PHASES: tuple[Phase, ...] = ("cold", "warmup", "idle")


def summary_document(
    run: Mapping[str, object], digest: Digest, results: Sequence[GateResult], final: Final
) -> dict[str, object]:
    """Return the document. ``run`` names the run and what it measured."""
    summary = digest.summary
    conversations = conversations_document(digest.columns)
    return {
        "schema": SCHEMA,
        "run": dict(run),
        "turns": {
            "measured": summary.turns,
            "failed": summary.failed,
            **{str(phase): digest.turns(phase) for phase in OTHER_PHASES},
        },
        "phases": phases_document(digest.phases, summary),
        **({"conversations": conversations} if conversations else {}),
        "metrics": {name: distribution.as_dict() for name, distribution in summary.metrics.items()},
        "gates": [result.as_dict() for result in results],
        **final.as_dict(),
    }


def conversations_document(measured: Columns) -> list[dict[str, object]]:
    """Return the figures of conversations by turn number; empty without conversations."""
    return [found.as_dict() for found in by_turn_number(measured)]


def phases_document(phases: Mapping[Phase, Columns], summary: Summary) -> dict[str, object]:
    """Return the figures of the cold and the idle turns, beside the measured ones' ``summary``."""
    return {str(found.phase): found.as_dict() for found in phase_figures(phases, summary)}
