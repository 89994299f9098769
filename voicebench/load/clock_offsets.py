"""The difference of two machines' clocks, read by probes before and after a level.

A probe is a question for the other clock: our clock before, theirs, our clock after. If the way
there takes as long as the way back, theirs was read in the middle; in any case it was read between
the two. So the offset of one probe is wrong by at most half its time. The ten fastest of many
probes are averaged, and the slowest of these ten gives the bound.

No latency is ever taken from two clocks. Offsets are only for starting a level at one moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

PROBES = 300
BEST = 10


class ClockProbe(NamedTuple):
    """One question for another machine's clock, in nanoseconds."""

    sent_ns: int
    """Our clock before it."""
    theirs_ns: int
    received_ns: int
    """Our clock after it."""


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """Another machine's clock minus ours, at a moment of our clock. Nanoseconds."""

    at_ns: int
    offset_ns: int
    bound_ns: int
    """How far the offset may be wrong, at most."""


@dataclass(frozen=True, slots=True)
class ClockDrift:
    """The offsets before and after a level, and how fast the clocks ran apart."""

    before: ClockOffset
    after: ClockOffset | None

    @property
    def per_million(self) -> float | None:
        """Nanoseconds that their clock gains in a millisecond of ours; None without a second."""
        if self.after is None or self.after.at_ns <= self.before.at_ns:
            return None
        gained_ns = self.after.offset_ns - self.before.offset_ns
        return 1e6 * gained_ns / (self.after.at_ns - self.before.at_ns)

    @property
    def bound_ns(self) -> int | None:
        """How far a start by the first offset may be wrong at any moment of the level."""
        if self.after is None:
            return None
        apart_ns = abs(self.after.offset_ns - self.before.offset_ns)
        return max(self.before.bound_ns, self.after.bound_ns) + apart_ns

    def as_dict(self) -> dict[str, object]:
        """Return the entry of ``levels.jsonl``, in milliseconds."""
        bound_ns = self.bound_ns
        return {
            "offset_ms": self.before.offset_ns / 1e6,
            "probe_bound_ms": self.before.bound_ns / 1e6,
            "drift_per_million": self.per_million,
            "bound_ms": None if bound_ns is None else bound_ns / 1e6,
        }


def offset_of(probes: Sequence[ClockProbe]) -> ClockOffset:
    """Return the offset by the ten fastest of ``probes`` (at least one)."""
    best = sorted(probes, key=lambda probe: probe.received_ns - probe.sent_ns)[:BEST]
    offsets = [probe.theirs_ns - (probe.sent_ns + probe.received_ns) // 2 for probe in best]
    slowest = best[-1]
    return ClockOffset(
        best[0].received_ns,
        sum(offsets) // len(offsets),
        (slowest.received_ns - slowest.sent_ns + 1) // 2,
    )
