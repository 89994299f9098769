"""How busy the client's processes and other programs were during a level.

Read from the system's counters between the turns, by the parent: a fraction of a millisecond a
process. A value that the system does not have is None.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

import psutil

from voicebench.load.level_rule import ClientState
from voicebench.load.running.level_clock import recorder_ns
from voicebench.machine.environment import usable_core_numbers
from voicebench.machine.machine_state import busy_s
from voicebench.turn.playback import NS_PER_S


class ClientWatch:
    """Compares counters with those at the start of a level.

    ``processes`` are the numbers of the processes of each core: that of the client process first.
    ``ports`` are those of the servers on this machine: the time of the processes that listen there
    is not foreign. The cores are those that this process may use when the watch is made: during a
    level the parent keeps off those of the client.
    """

    def __init__(self, processes: Sequence[Collection[int]], ports: Collection[int]) -> None:
        self._cores = [tuple(found) for found in processes]
        self.servers = _listening_at(ports)
        self._ports = ports
        self._watched = usable_core_numbers()
        self._began_ns = recorder_ns()
        self._busy_s = busy_s(self._watched)
        self._before = self._cpu_times()

    def look(self) -> ClientState:
        """Return the state since the start."""
        elapsed_s = (recorder_ns() - self._began_ns) / NS_PER_S
        now_busy_s, now = busy_s(self._watched), self._cpu_times()
        spent = {pid: seconds - self._before.get(pid, 0.0) for pid, seconds in now.items()}
        if elapsed_s <= 0:
            return ClientState()
        # A sealing process gives way to the client process of its core, so it delays no read.
        of_cores = [spent.get(core[0], 0.0) / elapsed_s for core in self._cores if core]
        return ClientState(
            min(max(of_cores, default=0.0), 1.0), self._foreign(now_busy_s, spent, elapsed_s)
        )

    def _foreign(
        self, now_busy_s: float | None, spent: Mapping[int, float], elapsed_s: float
    ) -> float | None:
        """Return the share of the cores that others used; None if a server's process is unknown."""
        if now_busy_s is None or self._busy_s is None or (self._ports and not self.servers):
            return None
        known_s = sum(seconds * _share_on(self._watched, pid) for pid, seconds in spent.items())
        others_s = now_busy_s - self._busy_s - known_s
        return min(max(others_s / (elapsed_s * len(self._watched)), 0.0), 1.0)

    def _cpu_times(self) -> dict[int, float]:
        clients = [pid for core in self._cores for pid in core]
        return dict(_cpu_of({*clients, *self.servers, os.getpid()}))


def _cpu_of(processes: Iterable[int]) -> Iterator[tuple[int, float]]:
    for pid in processes:
        with suppress(psutil.Error, OSError):
            used = psutil.Process(pid).cpu_times()
            yield pid, used.user + used.system


def _share_on(cores: Collection[int], pid: int) -> float:
    """Return the share of the cores of process ``pid`` that are among ``cores``.

    Only these cores' time is counted: a server that is pinned to another one spends nothing there.
    """
    with suppress(psutil.Error, OSError, AttributeError):  # macOS has no such thing
        theirs = set(psutil.Process(pid).cpu_affinity())
        return len(theirs.intersection(cores)) / len(theirs)
    return 1.0


def _listening_at(ports: Collection[int]) -> set[int]:
    """Return the processes that listen at ``ports`` of this machine, and their children."""
    if not ports:
        return set()
    found: set[int] = set()
    with suppress(psutil.Error, OSError):
        for one in psutil.net_connections("tcp"):
            port = getattr(one.laddr, "port", None)  # an empty tuple if it has no address
            if one.status == psutil.CONN_LISTEN and port in ports and one.pid:
                found.add(one.pid)
    for pid in list(found):
        with suppress(psutil.Error, OSError):
            found |= {child.pid for child in psutil.Process(pid).children(recursive=True)}
    return found - {os.getpid()}
