"""The client processes of one of several machines, as the machine that leads a level sees them.

Ray makes one object of `MachineClients` on each machine and carries calls to it. It starts the same
pinned processes as a run on one machine. It is never between a caller and the target.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import psutil

import voicebench
from voicebench.errors import UsageError, VoicebenchError
from voicebench.load.level_rule import ClientState
from voicebench.load.reading.reading_choice import Over
from voicebench.load.running.client_cores import choose_cores
from voicebench.load.running.client_processes import ClientProcesses
from voicebench.load.running.client_watch import ClientWatch
from voicebench.load.running.level_clock import LevelClock, recorder_ns
from voicebench.load.running.level_task import LevelTask, SealedTurn
from voicebench.load.shares import Share


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """One machine: its name, and the code that runs there."""

    host: str
    voicebench: str
    source: str
    """Digest of the package's files."""
    python: str
    cores: int


@dataclass(frozen=True, slots=True)
class MachineNeeds:
    """Facts by which a machine chooses its cores."""

    receiving: float
    """Replies that come in at once, on this machine."""
    hosts: tuple[str, ...]
    ports: tuple[int, ...]
    """Where servers listen that may be on this machine."""
    processes: int | None
    in_process: bool
    reads: Over | None


@dataclass(frozen=True, slots=True)
class MachineReport:
    """Turns and state of a machine since its last report."""

    turns: tuple[SealedTurn, ...] = ()
    state: ClientState = field(default_factory=ClientState)
    open_due_s: tuple[float, ...] = ()
    memory_mb: float | None = None
    """Resident memory of its processes together."""


def facts_here() -> MachineFacts:
    """Return the facts of this machine."""
    digest = sha256()
    folder = Path(voicebench.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return MachineFacts(
        platform.node(),
        voicebench.__version__,
        digest.hexdigest()[:16],
        platform.python_version(),
        os.cpu_count() or 1,
    )


def check_alike(ours: MachineFacts, machines: Sequence[MachineFacts]) -> None:
    """Raise `UsageError` if a machine runs other code: its figures would not be ours."""
    for theirs in machines:
        for name, mine, its in (
            ("voicebench", ours.voicebench, theirs.voicebench),
            ("Python", _minor(ours.python), _minor(theirs.python)),
            ("source of voicebench", ours.source, theirs.source),
        ):
            if mine != its:
                raise UsageError(
                    f"machine {theirs.host} has {name} {its}, and this one has {mine}",
                    "install the same version on every machine",
                )


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


class MachineClients:
    """The client processes of this machine, for one level after the other."""

    def __init__(self) -> None:
        self._turns: list[SealedTurn] = []
        self._processes: ClientProcesses | None = None
        self._watch: ClientWatch | None = None

    def facts(self) -> MachineFacts:
        """Return what this machine is."""
        return facts_here()

    def clock_ns(self) -> int:
        """Return the moment on this machine's clock."""
        return recorder_ns()

    def start(self, task: LevelTask, share: Share, needs: MachineNeeds) -> VoicebenchError | None:
        """Start the processes and open all connections; return why that failed."""
        self.close()
        self._turns.clear()
        try:
            cores = choose_cores(
                needs.receiving,
                needs.hosts,
                wanted=needs.processes,
                in_process=needs.in_process,
                reads=needs.reads,
            )
            self._processes = ClientProcesses(task, share, cores, self._turns.append)
            self._processes.wait_until_ready()
        except VoicebenchError as error:
            self.close()
            return error
        self._watch = ClientWatch(self._processes.process_numbers, needs.ports)
        return None

    def begin(self, start_ns: int) -> None:
        """Start the level at this moment of this machine's clock."""
        if self._processes is not None:
            self._processes.begin(LevelClock(start_ns))

    def receive(self, seconds: float) -> MachineReport:
        """Take what comes within ``seconds``, and report."""
        if self._processes is None:
            return MachineReport()
        self._processes.receive(seconds)
        return self._report(self._processes.open_due_s())

    def end(self, *, keep_open: bool) -> MachineReport:
        """End the level; open turns come as unfinished, or are dropped."""
        if self._processes is None:
            return MachineReport()
        last = self._report(())
        self._processes.end(keep_open=keep_open)
        turns = (*last.turns, *self._turns)
        self._turns.clear()
        state = ClientState(
            last.state.busiest_core, last.state.foreign, broken=self._processes.broken
        )
        return MachineReport(turns, state, (), last.memory_mb)

    def close(self) -> None:
        """Stop the processes."""
        if self._processes is not None:
            self._processes.close()
            self._processes = None

    def _report(self, open_due_s: tuple[float, ...]) -> MachineReport:
        assert self._processes is not None
        turns = tuple(self._turns)
        self._turns.clear()
        seen = ClientState() if self._watch is None else self._watch.look()
        state = ClientState(seen.busiest_core, seen.foreign, broken=self._processes.broken)
        numbers = [number for core in self._processes.process_numbers for number in core]
        return MachineReport(turns, state, open_due_s, _memory_mb((os.getpid(), *numbers)))


def _memory_mb(processes: Sequence[int]) -> float | None:
    resident = 0
    for number in processes:
        with suppress(psutil.Error, OSError):
            resident += psutil.Process(number).memory_info().rss
    return resident / 1e6 if resident else None
