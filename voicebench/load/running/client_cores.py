"""The cores of the client: how many processes it gets, where they stay, and who gives way.

Each client process stays on one core. If the server is on this machine, half of the cores are left
to it, because a server that computes on the client's core would delay the client's reads.
"""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from voicebench.errors import UsageError
from voicebench.load.reading.reading_choice import Over
from voicebench.machine.environment import usable_core_numbers
from voicebench.machine.processes import CAN_PIN

MOST_RECEIVING = 150
"""Replies that one process can receive at once and time exactly (docs/how-to/load.md)."""
COMFORTABLE = 75
"""Receiving turns of a process before another process is started, if a core is free."""
MOST_READING: Mapping[Over, int] = {"http": 1000, "websocket": 1000, "realtime": 500}
"""Replies that one process with a reading loop can receive at once and time exactly."""
COMFORTABLY_READ = 0.4
"""The share of them before another process is started, if a core is free."""
LITTLE_PRIORITY = 10
"""The nice value: a tenth of the time of a program that never waits."""
NICE_0_AS_LIMIT = 20


@dataclass(frozen=True, slots=True)
class ClientCores:
    """The cores of the client processes: one each, None for a process that may use any core."""

    of_processes: tuple[int | None, ...]
    server_is_here: bool
    usable: int
    """The cores that this program may use."""
    of_sealers: tuple[int | None, ...] | None = None
    """The cores of the sealing processes; None: those of their client processes."""

    @property
    def pairs(self) -> list[tuple[int | None, int | None]]:
        """The cores of each client process and of its sealing process."""
        return list(zip(self.of_processes, self.of_sealers or self.of_processes, strict=True))

    def describe(self) -> dict[str, object]:
        """Return the entry of the environment."""
        pinned = [core for core in self.of_processes if core is not None]
        return {
            "processes": len(self.of_processes),
            "cores": pinned or None,
            "pinned": bool(pinned),
            "server_on_this_machine": self.server_is_here,
        }


def choose_cores(
    receiving: float,
    hosts: Iterable[str],
    *,
    wanted: int | None = None,
    in_process: bool = False,
    reads: Over | None = None,
) -> ClientCores:
    """Return the cores for about ``receiving`` replies at once from servers at ``hosts``.

    ``wanted`` is the number of processes, if the user chose it. ``in_process``: the engines are in
    the client's process, so there is one, on all cores. ``reads``: one reading loop a process, of
    this transport, not a thread a call. Raises `UsageError` if the cores are too few.
    """
    usable = usable_core_numbers()
    is_here = any(is_this_machine(host) for host in hosts)
    if in_process:
        return ClientCores((None,), True, len(usable))
    free = usable[len(usable) // 2 :] if is_here else usable
    if wanted is not None and wanted > len(free):
        left = ", and half of them are left to the server on this machine" if is_here else ""
        raise UsageError(
            f"load.processes = {wanted}, and this program may use {len(usable)} cores{left}",
            f"set load.processes = {len(free)} or less",
        )
    most, comfortable = MOST_RECEIVING, COMFORTABLE
    if reads is not None:
        most = MOST_READING[reads]
        comfortable = round(COMFORTABLY_READ * most)
    processes = wanted or min(len(free), max(math.ceil(receiving / comfortable), 1))
    if receiving > most * processes:
        raise UsageError(
            f"about {receiving:.0f} replies would come in at once, and {processes} client "
            f"process{'es' if processes > 1 else ''} can time {most} each",
            "use a machine with more cores for the client, or fewer callers",
        )
    if not CAN_PIN:
        return ClientCores((None,) * processes, is_here, len(usable))
    others = free[:-processes]
    sealers = tuple(others[number % len(others)] for number in range(processes)) if others else None
    return ClientCores(tuple(free[-processes:]), is_here, len(usable), sealers)


def is_this_machine(host: str) -> bool:
    """Return whether ``host`` is an address of this machine. No name is looked up but localhost."""
    import psutil

    if host == "localhost" or host.endswith(".localhost") or host.startswith("127."):
        return True
    with suppress(OSError):
        addresses = {
            one.address.partition("%")[0]
            for found in psutil.net_if_addrs().values()
            for one in found
            if one.family in (socket.AF_INET, socket.AF_INET6)
        }
        return host in addresses
    return False


@contextmanager
def away_from(cores: Iterable[int | None]) -> Iterator[None]:
    """Keep all threads of this process off ``cores`` in this block, if it may use others.

    The parent writes and judges turns, and would hold up a client whose core it shares.
    """
    before = set(usable_core_numbers())
    left = before - set(cores)
    if not (CAN_PIN and left and left < before):
        yield
        return
    _move_threads(left)
    try:
        yield
    finally:
        _move_threads(before)


def _move_threads(cores: set[int]) -> None:
    with suppress(OSError):  # no /proc
        for thread in os.listdir("/proc/self/task"):
            with suppress(OSError):  # it has ended since
                os.sched_setaffinity(int(thread), cores)


def give_way() -> None:
    """Let this process run only when its core has nothing else to do, or with little priority.

    A process that may not leave that class again gets little priority instead, because another
    program could keep it from running for ever. A real-time process keeps its class, with the least
    priority of it.
    """
    with suppress(OSError):
        if not hasattr(os, "SCHED_IDLE"):
            if hasattr(os, "nice"):
                os.nice(LITTLE_PRIORITY)
            return
        policy = os.sched_getscheduler(0)
        if policy in (os.SCHED_FIFO, os.SCHED_RR):
            least = os.sched_get_priority_min(policy)
            os.sched_setscheduler(0, policy, os.sched_param(least))
        elif _may_return():
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        else:
            os.nice(LITTLE_PRIORITY)


def hurry(pid: int) -> None:
    """Undo `give_way` of another process, when no turn is under way any more."""
    if hasattr(os, "SCHED_IDLE"):
        with suppress(OSError):
            if os.sched_getscheduler(pid) == os.SCHED_IDLE:
                os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))


def _may_return() -> bool:
    """Return whether this user may take a process out of the idle class (sched(7))."""
    import resource

    return os.geteuid() == 0 or resource.getrlimit(resource.RLIMIT_NICE)[0] >= NICE_0_AS_LIMIT
