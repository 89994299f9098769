"""What stands in a report's head beside the verdict: what changes the meaning of its figures."""

from __future__ import annotations

from collections.abc import Mapping

from voicebench.slower import slower_engines

COLD_CONNECTIONS = (
    "connections were opened inside the turns, as asked for (--cold-connection): every figure that "
    "begins with the turn includes connecting"
)


def notes_on(environment: Mapping[str, object]) -> list[str]:
    """Return what a reader must know of how a run's target was reached, and how it computed."""
    target = environment.get("target")
    notes = [COLD_CONNECTIONS] if _connects_anew(target) else []
    return [*notes, *(sentence for sentence, _ in slower_engines(target))]


def _connects_anew(target: object) -> bool:
    """Return whether the target, or one of its engines, was connected to anew in every turn."""
    if not isinstance(target, Mapping):
        return False
    parts = (target, target.get("llm"), target.get("tts"))
    return any(isinstance(part, Mapping) and part.get("cold_connection") is True for part in parts)
