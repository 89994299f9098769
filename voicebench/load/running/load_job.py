"""The task of `load` or `capacity`: plans, times and costs of its levels, and its refusals."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from voicebench.calls.running.line_rendering import read_playable_script
from voicebench.errors import UsageError
from voicebench.load.call_plan import (
    Arrivals,
    Behaviour,
    LoadPlan,
    Population,
    Trace,
    cycle_s,
    offered_turns_per_s,
)
from voicebench.load.cost import LevelCost, level_cost
from voicebench.load.distributions import read_count, read_duration
from voicebench.load.fault_plan import read_faults
from voicebench.load.holding import Times
from voicebench.load.interruption import read_interruption
from voicebench.load.level_rule import LEAST_BLOCKS
from voicebench.load.level_times import level_times
from voicebench.load.load_gate import LoadGate, load_gates
from voicebench.load.reading.reading_choice import Over, transport_of
from voicebench.load.running.client_cores import ClientCores, choose_cores
from voicebench.load.running.refusals import (
    callers_at_once,
    check_allowed,
    check_faults,
    check_history,
    check_lag,
    check_ports,
    check_ray,
    check_spoken,
    is_spoken,
    receiving_at_once,
    server_urls,
)
from voicebench.load.search import ERROR, planned_levels
from voicebench.load.trace_file import read_trace
from voicebench.load.turn_mix import TurnMix, mix_of_script
from voicebench.measuring.plan import prompts_for
from voicebench.settings import Effective, Settings
from voicebench.targets.kinds import check_target, kind_of
from voicebench.targets.script import PREFIX

MOST_TRACE_BYTES = 256_000_000


@dataclass(frozen=True)
class LoadJob:
    """The task of a command: its settings, its gates, and the source of its calls."""

    effective: Effective
    arrivals: Arrivals
    gates: tuple[LoadGate, ...]
    permitted: tuple[str, ...] = ()
    """Hosts whose owner allows the load."""
    same_machine: bool = False
    """Whether client and engine may share the cores."""
    mix: TurnMix | None = None
    """The turns of a script; None: those that the behaviour of callers gives."""

    @property
    def settings(self) -> Settings:
        """The settings."""
        return self.effective.settings

    @property
    def behaviour(self) -> Behaviour:
        """How callers behave."""
        load = self.settings.load
        return Behaviour(
            read_duration(load.think, "load.think"),
            read_duration(load.speech, "load.speech"),
            read_count(load.turns, "load.turns"),
            None if load.interrupt is None else read_interruption(load.interrupt, "load.interrupt"),
        )

    @property
    def cycle_s(self) -> float:
        """The expected time from one due moment of a caller to the next."""
        return cycle_s(self.behaviour, self.settings.load.reply_s)

    @property
    def block_s(self) -> float:
        """The length of a block; without gates at most the level's, because nothing is judged."""
        return self._block_and_times(self.arrivals)[0]

    def plan(self, arrivals: Arrivals, prompts: int, seed: int | None = None) -> LoadPlan:
        """Return the plan of a level."""
        load = self.settings.load
        seed = load.seed if seed is None else seed
        faults = None if load.faults is None else read_faults(load.faults, "load.faults")
        return LoadPlan(seed, arrivals, self.behaviour, prompts, load.ramp_s, faults)

    def times(self, arrivals: Arrivals) -> Times:
        """Return the times of a level (`level_times`)."""
        return self._block_and_times(arrivals)[1]

    def _block_and_times(self, arrivals: Arrivals) -> tuple[float, Times]:
        load = self.settings.load
        return level_times(
            arrivals,
            self.behaviour,
            reply_s=load.reply_s,
            ramp_s=load.ramp_s,
            for_s=load.for_s,
            drain_s=load.drain_s,
            is_judged=bool(self.gates),
        )

    def cost(self, arrivals: Arrivals, error: float) -> LevelCost:
        """Return what a level costs."""
        times = self.times(arrivals)
        plan = self.plan(arrivals, 1)
        return level_cost(
            self.gates,
            offered_turns_per_s(plan, self.settings.load.reply_s),
            first_s=times.first_s,
            block_s=self.block_s,
            longest_s=times.longest_s,
            error=error,
            mix=self.mix or TurnMix(plan.behaviour.cut_share, plan.behaviour.turns.mean),
        )


def load_job(
    effective: Effective,
    arrivals: Arrivals | None,
    *,
    permitted: Sequence[str] | None = None,
    same_machine: bool = False,
) -> LoadJob:
    """Return the job; without ``arrivals``, that of the trace in the settings.

    Raises `UsageError` for a trace that cannot be read.
    """
    mix = None
    if is_spoken(effective.settings):
        script = read_playable_script(effective.settings.call.script)
        if not script.packets.is_clean:
            raise UsageError(
                f"the script {script.name} loses or delays packets, which load does not do",
                "leave out loss and jitter, or measure it with `voicebench call`",
            )
        mix = mix_of_script(step.kind for step in script.steps)
        effective = _of_a_script(effective, len(script.steps))
    load = effective.settings.load
    if arrivals is None:
        arrivals = _trace(Path(load.trace or ""))
    gates = load_gates(load.gates, quick=load.quick)
    return LoadJob(effective, arrivals, gates, tuple(permitted or ()), same_machine, mix)


def _of_a_script(effective: Effective, steps: int) -> Effective:
    """Return the settings of callers who play a script: a turn for each of ``steps``, and a ramp.

    The callers join over the length of a call, so that they are at all places of their calls.
    """
    settings = effective.settings
    load = settings.load.model_copy(update={"turns": str(steps)})
    length_s = steps * (read_duration(load.speech, "load.speech").mean_s + load.reply_s)
    load = load.model_copy(update={"ramp_s": load.ramp_s or min(length_s, 3600.0)})
    return replace(effective, settings=settings.model_copy(update={"load": load}))


def _trace(path: Path) -> Trace:
    try:
        if path.stat().st_size > MOST_TRACE_BYTES:
            raise UsageError(f"trace {path} is larger than {MOST_TRACE_BYTES} bytes", "use a part")
        with path.open(encoding="utf-8") as lines:
            return read_trace(lines, str(path))
    except OSError as error:
        raise UsageError(f"trace {path} cannot be read ({error.strerror})", "check it") from None
    except UnicodeDecodeError:
        raise UsageError(f"trace {path} is not UTF-8 text", "save it as UTF-8") from None


def check_load(job: LoadJob, largest: Arrivals, error: float) -> LevelCost:
    """Return the cost of the largest level.

    Raises `UsageError` for a load that must not start (`refusals`), for too few cores, and for
    gates that the longest level cannot decide.
    """
    settings = job.settings
    if is_spoken(settings):
        check_spoken(settings, job.arrivals)
    else:
        check_target(settings)
        prompts_for(settings, "en")
    at_once = callers_at_once(job.arrivals, job.behaviour, settings.load.reply_s)
    check_allowed(settings, at_once, job.permitted, same_machine=job.same_machine)
    if settings.load.history:
        check_history(settings)
    check_lag(settings, job.gates)
    if settings.load.faults is not None:
        check_faults(settings)
    if settings.load.ray is not None:
        check_ray(settings)
    if settings.load.ray is None and not settings.run.target.startswith(PREFIX):
        client_cores(job, job.arrivals)
        turns_per_s = offered_turns_per_s(job.plan(job.arrivals, 1), settings.load.reply_s)
        check_ports(at_once, turns_per_s / job.behaviour.turns.mean)
    cost = job.cost(largest, error)
    if job.gates and cost.blocks < LEAST_BLOCKS:
        raise UsageError(
            f"a level of {settings.load.for_s:g} s has {cost.blocks} blocks of {job.block_s:g} s, "
            f"and {LEAST_BLOCKS} are needed to judge it",
            f"give --for {LEAST_BLOCKS * job.block_s:.0f}s or longer, or --no-gate",
        )
    if not cost.can_decide:
        hardest = max(cost.gates, key=lambda gate: gate.turns)
        raise UsageError(
            f"gate {hardest.gate.gate.text!r} cannot be decided: a level of "
            f"{cost.longest_s:.0f} s has about {cost.turns:.0f} turns, and {hardest.turns} are "
            "needed even if none is bad",
            f"give --for {cost.seconds_to_decide / 60:.0f}m, more callers, or --quick, "
            "which asks for shares of 95 %",
        )
    return cost


def client_cores(job: LoadJob, arrivals: Arrivals, machines: int = 1) -> ClientCores:
    """Return the cores of the client for a level, on each of ``machines`` machines.

    Raises `UsageError` if they are too few.
    """
    settings = job.settings
    return choose_cores(
        at_once(job, arrivals) / machines,
        [urlsplit(url).hostname or "" for url in server_urls(settings)],
        wanted=settings.load.processes,
        in_process=not is_spoken(settings)
        and bool(kind_of(settings).models(settings, voice_only=False)),
        reads=transport_read(job),
    )


def at_once(job: LoadJob, arrivals: Arrivals) -> float:
    """Return how many callers the client listens to at once; one who speaks is never idle."""
    reply_s = job.settings.load.reply_s
    if is_spoken(job.settings):
        return float(callers_at_once(arrivals, job.behaviour, reply_s))
    return receiving_at_once(arrivals, job.behaviour, reply_s)


def transport_read(job: LoadJob) -> Over | None:
    """Return the transport by which one reading loop a process takes the target.

    None if it has a thread a call. Earlier messages of a call need one.
    """
    return None if job.settings.load.history else transport_of(job.settings)


def least_decidable(job: LoadJob) -> int:
    """Return the smallest number of callers whose longest level can be confirmed."""
    most = job.settings.load.max_callers
    return 1 + bisect_left(
        range(1, most), True, key=lambda n: job.cost(Population(n), ERROR / 4).can_decide
    )


def capacity_cost(job: LoadJob) -> dict[str, float]:
    """Return what a search costs at most: levels, and seconds if each takes its shortest time."""
    load = job.settings.load
    levels = planned_levels(load.max_callers, load.precision, load.first_callers)
    times = job.times(Population(1))
    short_s = times.first_s + LEAST_BLOCKS * job.block_s
    confirmed = job.cost(Population(load.max_callers), ERROR / 4)
    return {
        "levels": levels + 3,
        "seconds_of_a_short_level": short_s,
        "seconds_of_a_long_level": times.first_s + times.longest_s,
        "seconds_expected": (levels + 2) * short_s + times.first_s + confirmed.seconds_to_decide,
    }
