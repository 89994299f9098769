"""Engine on several machines: each carries out its share of the same plan with its own processes.

The plan is divided by callers, so by whole calls. Each machine starts the level at the same moment
by its own clock. Turns come to the machine that leads, unsorted, and are judged together; no figure
of one machine is averaged with another's. If a machine is lost, the level says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from voicebench.errors import CannotMeasure
from voicebench.load.call_plan import LoadPlan
from voicebench.load.clock_offsets import ClockDrift, ClockOffset
from voicebench.load.level_rule import ClientState
from voicebench.load.loaded_turn import LoadedTurn
from voicebench.load.running.level_clock import LevelClock
from voicebench.load.running.level_task import LevelTask
from voicebench.load.running.machine_clients import MachineNeeds, MachineReport
from voicebench.load.running.ray_machines import MachineLost, RayMachine
from voicebench.load.shares import Share
from voicebench.turn.timeline import Timeline

LEAD_S = 2.0
"""From the moment at which all machines are ready to the zero of the level's clock."""
POLL_S = 0.25

NewTask = Callable[[LoadPlan, int], LevelTask]


@dataclass(eq=False)
class MachinesEngine:
    """Carries out plans on several machines."""

    new_task: NewTask
    machines: Sequence[RayMachine]
    needs: MachineNeeds
    """Of each machine: its part of the replies."""
    keep: Callable[[Timeline], None] | None = None
    kept: int = 0

    def start(self, plan: LoadPlan, level: int) -> MachinesLevel:
        """Start the level on every machine. Raises a `VoicebenchError` if that fails."""
        return MachinesLevel(self, self.new_task(plan, level))

    def keep_next(self, turn: Timeline) -> None:
        """Keep a turn with the next number."""
        self.kept += 1
        if self.keep is not None:
            self.keep(replace(turn, turn=self.kept))


@dataclass(eq=False)
class _Member:
    """A machine that takes part in a level."""

    machine: RayMachine
    before: ClockOffset
    last: MachineReport = field(default_factory=MachineReport)
    after: ClockOffset | None = None
    most_memory_mb: float | None = None
    lost: str | None = None


class MachinesLevel:
    """One level that goes on in real time on several machines."""

    def __init__(self, engine: MachinesEngine, task: LevelTask) -> None:
        self._engine = engine
        self._done: list[LoadedTurn] = []
        self._members: list[_Member] = []
        try:
            self._members += [_Member(one, one.offset()) for one in engine.machines]
            shares = Share().split(len(self._members))
            asked = [
                (one, one.machine.ask("start", task, share, engine.needs))
                for one, share in zip(self._members, shares, strict=True)
            ]
            for one, answer in asked:
                error = one.machine.answer(answer)
                if error is not None:
                    raise error
            self._clock = LevelClock.starting_in(LEAD_S)
            for one in self._members:
                start_ns = self._clock.start_ns + one.before.offset_ns
                one.machine.answer(one.machine.ask("begin", start_ns))
        except MachineLost as lost:
            self.close()
            raise CannotMeasure(
                f"a machine of the Ray cluster was lost before the level began ({lost})",
                "see which one is missing: ray status",
            ) from None
        except BaseException:
            self.close()
            raise

    def advance(self, until_s: float) -> Sequence[LoadedTurn]:
        """Let the level go on until ``until_s``; return the turns that ended."""
        while (left_s := until_s - self._clock.now_s()) > 0 and not self._broken():
            self._receive(min(left_s, POLL_S))
        return self._taken()

    def now_s(self) -> float:
        """Return the moment on the level's clock."""
        return self._clock.now_s()

    def open_due_s(self) -> Sequence[float]:
        """Return the due moments of the turns that had started and not come back."""
        return [due_s for one in self._members for due_s in one.last.open_due_s]

    def drain(self, due_before_s: float, at_most_s: float) -> Sequence[LoadedTurn]:
        """Go on until the turns that were due before have ended; the others stay unfinished."""
        limit_s = self._clock.now_s() + at_most_s
        while self._clock.now_s() < limit_s and not self._broken():
            self._receive(POLL_S)
            if not any(due_s < due_before_s for due_s in self.open_due_s()):
                break
        self._end(keep_open=True)
        return self._taken()

    def client_state(self) -> ClientState:
        """Return the state of the busiest machine, and why the level says nothing."""
        states = [one.last.state for one in self._members]
        return ClientState(
            max((s.busiest_core for s in states if s.busiest_core is not None), default=None),
            max((s.foreign for s in states if s.foreign is not None), default=None),
            broken=self._broken(),
        )

    def abandon(self) -> Sequence[LoadedTurn]:
        """End the level at once; open turns are dropped."""
        self._end(keep_open=False)
        return self._taken()

    def close(self) -> None:
        """Stop the processes of every machine."""
        for one in self._members:
            if one.lost is None:
                self._answer(one, one.machine.ask("close"))

    def describe(self) -> dict[str, object]:
        """Return the entry of ``levels.jsonl``: each machine, its clock and its memory."""
        return {
            "machines": [
                {
                    "machine": one.machine.name,
                    "cores": one.machine.facts.cores,
                    "clock": ClockDrift(one.before, one.after).as_dict(),
                    "memory_mb": one.most_memory_mb,
                    "lost": one.lost,
                }
                for one in self._members
            ]
        }

    def _broken(self) -> tuple[str, ...]:
        lost = tuple(one.lost for one in self._members if one.lost is not None)
        said = [
            f"{one.machine.name}: {why}" for one in self._members for why in one.last.state.broken
        ]
        return (*lost, *said)

    def _receive(self, seconds: float) -> None:
        """Take what all machines have, at the same time."""
        asked = [
            (one, one.machine.ask("receive", seconds)) for one in self._members if one.lost is None
        ]
        for one, answer in asked:
            self._take(one, self._answer(one, answer))

    def _end(self, *, keep_open: bool) -> None:
        asked = [
            (one, one.machine.ask("end", keep_open=keep_open))
            for one in self._members
            if one.lost is None
        ]
        for one, answer in asked:
            self._take(one, self._answer(one, answer))
        for one in self._members:
            if one.lost is None:
                try:
                    one.after = one.machine.offset()
                except MachineLost as lost:
                    one.lost = _how(one, lost)

    def _answer(self, one: _Member, asked: object) -> object:
        try:
            return one.machine.answer(asked)
        except MachineLost as lost:
            one.lost = _how(one, lost)
            return None

    def _take(self, one: _Member, report: object) -> None:
        if not isinstance(report, MachineReport):
            return
        one.last = report
        if report.memory_mb is not None:
            one.most_memory_mb = max(one.most_memory_mb or 0.0, report.memory_mb)
        for sealed in report.turns:
            self._engine.keep_next(sealed.timeline)
            self._done.append(sealed.turn)

    def _taken(self) -> Sequence[LoadedTurn]:
        done, self._done = self._done, []
        return done


def _how(one: _Member, lost: MachineLost) -> str:
    return f"machine {one.machine.name} was lost ({lost}), and its open turns with it"
