"""Engine for real targets: pinned processes of this machine, and a thread a call in each.

The parent waits, reads finished turns from the processes, and gives each of them to ``keep`` at
once. It never stands between a caller and the target.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from voicebench.load.call_plan import LoadPlan
from voicebench.load.level_rule import ClientState
from voicebench.load.loaded_turn import LoadedTurn
from voicebench.load.running.client_cores import ClientCores, away_from
from voicebench.load.running.client_processes import ClientProcesses
from voicebench.load.running.client_watch import ClientWatch
from voicebench.load.running.level_clock import LevelClock
from voicebench.load.running.level_task import LevelTask, SealedTurn
from voicebench.load.shares import Share
from voicebench.turn.timeline import Timeline

LEAD_S = 0.5
"""From the moment at which all processes are ready to the zero of the level's clock."""
POLL_S = 0.25

NewTask = Callable[[LoadPlan, int], LevelTask]
"""Return the task of a level with this plan and number."""


@dataclass(eq=False)
class LocalEngine:
    """Carries out plans on this machine."""

    new_task: NewTask
    cores: ClientCores
    server_ports: Collection[int] = ()
    """Where servers of this machine listen: their time is not foreign."""
    keep: Callable[[Timeline], None] | None = None
    """Takes each finished turn with its number."""
    kept: int = 0

    def start(self, plan: LoadPlan, level: int) -> LocalLevel:
        """Start the processes, open all connections, and start the level.

        Raises a `VoicebenchError` if that fails.
        """
        return LocalLevel(self, self.new_task(plan, level))

    def keep_next(self, turn: Timeline) -> None:
        """Keep a turn with the next number."""
        self.kept += 1
        if self.keep is not None:
            self.keep(replace(turn, turn=self.kept))


class LocalLevel:
    """One level that goes on in real time."""

    def __init__(self, engine: LocalEngine, task: LevelTask) -> None:
        self._engine = engine
        self._done: list[LoadedTurn] = []
        self._apart = ExitStack()
        self._processes = ClientProcesses(task, Share(), engine.cores, self._take)
        try:
            self._processes.wait_until_ready()
            self._watch = ClientWatch(self._processes.process_numbers, engine.server_ports)
            self._apart.enter_context(away_from(engine.cores.of_processes))
            self._clock = LevelClock.starting_in(LEAD_S)
            self._processes.begin(self._clock)
        except BaseException:
            self.close()
            raise
        self._state = ClientState()

    def advance(self, until_s: float) -> Sequence[LoadedTurn]:
        """Let the level go on until ``until_s``; return the turns that ended."""
        while (left_s := until_s - self._clock.now_s()) > 0 and not self._processes.broken:
            self._processes.receive(min(left_s, POLL_S))
        self._state = self._watch.look()
        return self._taken()

    def now_s(self) -> float:
        """Return the moment on the level's clock."""
        return self._clock.now_s()

    def open_due_s(self) -> Sequence[float]:
        """Return the due moments of the turns that have started and not come back."""
        return self._processes.open_due_s()

    def drain(self, due_before_s: float, at_most_s: float) -> Sequence[LoadedTurn]:
        """Go on until the turns that were due before have ended; the others stay unfinished."""
        limit_s = self._clock.now_s() + at_most_s
        while self._clock.now_s() < limit_s and not self._processes.broken:
            if not any(due_s < due_before_s for due_s in self.open_due_s()):
                break
            self._processes.receive(POLL_S)
        self._state = self._watch.look()
        self._processes.end(keep_open=True)
        return self._taken()

    def client_state(self) -> ClientState:
        """Return the state of the client's side, as of the last look."""
        return replace(self._state, broken=self._processes.broken)

    def abandon(self) -> Sequence[LoadedTurn]:
        """End the level at once; the turns that have ended are kept, open ones are dropped."""
        self._processes.end(keep_open=False)
        return self._taken()

    @property
    def process_numbers(self) -> Sequence[tuple[int, ...]]:
        """The numbers of the processes on each core of the client."""
        return self._processes.process_numbers

    @property
    def server_numbers(self) -> Collection[int]:
        """The numbers of the server's processes, if it is on this machine."""
        return self._watch.servers

    @property
    def most_in_flight(self) -> int:
        """The largest number of turns that one process had under way at once, after its end."""
        return self._processes.most_in_flight

    def close(self) -> None:
        """Stop the processes."""
        self._apart.close()
        self._processes.close()

    def _take(self, sealed: SealedTurn) -> None:
        self._engine.keep_next(sealed.timeline)
        self._done.append(sealed.turn)

    def _taken(self) -> Sequence[LoadedTurn]:
        done, self._done = self._done, []
        return done
