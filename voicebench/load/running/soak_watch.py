"""Memory, descriptors and connections of client and server, read after each block of a level."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress

import psutil

CURVES = ("memory_mb", "descriptors", "connections")


class SoakWatch:
    """Reads processes; a value that the system does not show is None.

    ``clients`` returns the numbers of the client's processes, ``servers`` those of the servers on
    this machine.
    """

    def __init__(
        self, clients: Callable[[], Collection[int]], servers: Callable[[], Collection[int]]
    ) -> None:
        self._sides = {"client": clients, "server": servers}
        self.curves: dict[str, list[float | None]] = {
            f"{side}_{name}": [] for side in self._sides for name in CURVES
        }

    def read(self) -> None:
        """Read once. It takes some milliseconds, so not in a client process."""
        for side, processes in self._sides.items():
            for name, value in zip(CURVES, _read(processes()), strict=True):
                self.curves[f"{side}_{name}"].append(value)


def _read(processes: Collection[int]) -> tuple[float | None, float | None, float | None]:
    """Return memory in MB, descriptors and connections of all processes together."""
    memory, descriptors, connections, seen = 0.0, 0, 0, False
    for number in processes:
        with suppress(psutil.Error, OSError, AttributeError):
            process = psutil.Process(number)
            resident = process.memory_info().rss / 1e6
            opened = process.num_fds()
            connected = len(process.net_connections("tcp"))
            memory, descriptors, connections, seen = (
                memory + resident,
                descriptors + opened,
                connections + connected,
                True,
            )
    return (memory, descriptors, connections) if seen else (None, None, None)
