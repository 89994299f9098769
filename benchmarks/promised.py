"""A promise of the project, and the word for whether it is held here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Judged:
    """A promise, the measured value, and whether it is held; None if it was not measured."""

    promise: str
    found: str
    held: bool | None

    @property
    def word(self) -> str:
        """Return the word for the table."""
        return word_for(self.held)


def word_for(held: bool | None) -> str:
    """Return the word for a promise that is held or not; None if it was not measured."""
    return {None: "not measured", True: "held", False: "NOT HELD"}[held]
