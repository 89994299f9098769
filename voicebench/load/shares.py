"""A share of a plan: the callers that one process or one machine carries out.

A plan is divided by callers, and so by whole calls: the call that replaces another one has the same
caller, and every arrival at a rate has a number of its own. Each process goes through the whole
plan and takes its own callers. So the turns are the same, however many processes there are, and
arrivals stay a Poisson process over all of them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Share:
    """A part of the callers. Without ``parts`` it is all of them."""

    parts: tuple[tuple[int, int], ...] = ()
    """Which part of how many, the largest division first: (1, 2) is the second half."""

    def has(self, caller: int) -> bool:
        """Return whether the caller with this number is of this share."""
        for part, of in self.parts:
            caller, remainder = divmod(caller, of)
            if remainder != part:
                return False
        return True

    def split(self, into: int) -> list[Share]:
        """Return ``into`` shares that together are this one."""
        return [Share((*self.parts, (part, into))) for part in range(into)]
