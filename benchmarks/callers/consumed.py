"""What the servers of a side consume: processor time, and energy where the processor tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

RAPL = Path("/sys/class/powercap")
"""Where Linux shows the energy counters of a processor (Intel's RAPL, also on AMD)."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Counters at one moment."""

    processor_s: float
    """User and system time of the processes and their children."""
    energy_j: float | None
    """Of the whole processor, whoever used it; None if it cannot be read."""

    def since(self, earlier: Reading) -> Reading:
        """Return what was consumed between ``earlier`` and now."""
        both = None not in (self.energy_j, earlier.energy_j)
        energy = (self.energy_j or 0.0) - (earlier.energy_j or 0.0) if both else None
        return Reading(self.processor_s - earlier.processor_s, energy)


def read_counters(processes: Sequence[int], folder: Path = RAPL) -> Reading:
    """Return the counters of the ``processes`` (their ids), with all their children."""
    seconds = 0.0
    for pid in processes:
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            times = process.cpu_times()
            seconds += times.user + times.system
    return Reading(seconds, energy_j(folder))


def energy_j(folder: Path = RAPL) -> float | None:
    """Return the energy of all processor packages so far; None if the machine does not show it."""
    found = [
        zone / "energy_uj"
        for zone in sorted(folder.glob("*-rapl:*"))
        if zone.name.count(":") == 1 and (zone / "energy_uj").exists()
    ]
    try:
        return sum(int(file.read_text(encoding="ascii")) for file in found) / 1e6 if found else None
    except (OSError, ValueError):  # readable by root alone on most systems
        return None
