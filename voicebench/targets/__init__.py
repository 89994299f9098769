"""Targets: everything that can answer a user's words with speech."""

from __future__ import annotations

from typing import Protocol

from voicebench.events import Emit


class Target(Protocol):
    """Something that takes a prompt and pushes the events of one voice turn."""

    def run(self, prompt: str, emit: Emit) -> None:
        """Answer ``prompt``: push `TurnStarted` first, exactly one terminal event last.

        A failure of the engine or the peer is a `TurnFailed` event, never an exception.
        """
        ...

    def describe(self) -> dict[str, object]:
        """Return what a reader of the results must know of this target."""
        ...

    def close(self) -> None:
        """Release models and connections."""
        ...
