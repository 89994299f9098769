"""The engine for the target of the settings: on the virtual clock, or pinned processes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from voicebench.agents.agent_kinds import agent_kind
from voicebench.checks.many_streams import measure_streams
from voicebench.errors import CannotMeasure, UsageError
from voicebench.load.call_plan import LoadPlan
from voicebench.load.level_rule import LevelRule
from voicebench.load.reading.reading_choice import Over
from voicebench.load.running.client_cores import MOST_READING, ClientCores, is_this_machine
from voicebench.load.running.level_task import LevelTask
from voicebench.load.running.load_job import LoadJob, at_once, client_cores, transport_read
from voicebench.load.running.local_engine import LocalEngine, NewTask
from voicebench.load.running.machine_clients import MachineNeeds
from voicebench.load.running.machines_engine import MachinesEngine
from voicebench.load.running.ray_machines import RayMachine
from voicebench.load.running.refusals import (
    check_same_server,
    is_spoken,
    receiving_at_once,
    server_urls,
)
from voicebench.load.running.virtual_engine import VirtualEngine
from voicebench.load.running.way_to_server import WayToServer
from voicebench.measuring.call_session import rendered_plan
from voicebench.measuring.plan import audible_rule, prompts_for
from voicebench.settings import Settings, secrets_of, shown_settings
from voicebench.targets import Cancellable
from voicebench.targets.kinds import open_target
from voicebench.targets.recorded_names import described, named_by_servers, recorded_settings
from voicebench.targets.script import PREFIX, parse_script
from voicebench.text.chunking import Chunker
from voicebench.turn.timeline import Timeline

SECONDS_OF_ERROR = 1.0


@dataclass(frozen=True)
class OpenedEngine:
    """An engine, and what a run folder keeps about it."""

    engine: VirtualEngine | LocalEngine | MachinesEngine
    prompts: int
    """The number of prompts that turns choose from."""
    settings: Mapping[str, object]
    environment: Mapping[str, object]
    is_real_time: bool = True
    """Whether turns take their time; else a thousand may end in a second."""

    def keep_with(self, keep: Callable[[Timeline], None]) -> None:
        """Say who takes each finished turn."""
        self.engine.keep = keep


def engine_for(
    job: LoadJob, rule: LevelRule, way: WayToServer, machines: Sequence[RayMachine] = ()
) -> OpenedEngine:
    """Return the engine for the job's target, whose client processes reach it by ``way``.

    With ``machines`` these carry out the plan, otherwise this one.

    A real target is opened and closed once, so that it says what it is. Raises a `VoicebenchError`
    if it cannot be opened.
    """
    if job.settings.run.target.startswith(PREFIX):
        return _virtual(job, rule)
    if is_spoken(job.settings):
        return _spoken(job, rule, machines)
    return _local(job, rule, way, machines)


def _spoken(job: LoadJob, rule: LevelRule, machines: Sequence[RayMachine]) -> OpenedEngine:
    """Return the engine of callers who speak; their lines are rendered here, once for all."""
    settings = job.settings
    check_same_server(settings, [machine.facts.host for machine in machines])
    cores = client_cores(job, job.arrivals, max(len(machines), 1))
    with closing(
        agent_kind(settings.call.url or "").open(settings.call.url or "", settings, _ignore)
    ) as agent:
        plan, about_voice = rendered_plan(settings, agent.sample_rate, _ignore)
        description = secrets_of(settings).hidden_within(agent.describe())

    def new_task(load_plan: LoadPlan, level: int) -> LevelTask:
        return LevelTask(
            load_plan,
            level,
            settings,
            ("",),
            rule.metrics(),
            plan.rule,
            secrets_of(settings),
            spoken=plan,
        )

    return OpenedEngine(
        _engine(job, new_task, cores, machines),
        1,
        shown_settings(settings),
        {
            "target": description,
            "caller": about_voice,
            "clock": "real",
            "client": cores.describe() | {"engine": "speaking callers"},
        },
    )


def _virtual(job: LoadJob, rule: LevelRule) -> OpenedEngine:
    settings = job.settings
    texts = prompts_for(settings, "en").measured
    chunker = settings.chunker
    engine = VirtualEngine(
        parse_script(settings.run.target),
        rule.metrics(),
        rule=audible_rule(settings.audible),
        new_chunker=partial(Chunker, chunker.first_words, chunker.later_words),
        prompts=texts,
    )

    return OpenedEngine(
        engine,
        len(texts),
        shown_settings(settings),
        {
            "target": {"target": "simulated", "script": settings.run.target},
            "clock": "virtual",
        },
        is_real_time=False,
    )


def _local(
    job: LoadJob, rule: LevelRule, way: WayToServer, machines: Sequence[RayMachine]
) -> OpenedEngine:
    with closing(open_target(job.settings, _ignore)) as target:
        description = described(target, job.settings)
        can_be_cut = isinstance(target, Cancellable)
    if job.behaviour.interruption is not None and not can_be_cut:
        raise UsageError(
            f"target {job.settings.run.target!r} cannot be interrupted", "leave load.interrupt out"
        )
    effective = named_by_servers(job.effective, description)
    settings = effective.settings
    texts = prompts_for(settings, "en").measured
    check_same_server(settings, [machine.facts.host for machine in machines])
    cores = client_cores(job, job.arrivals, max(len(machines), 1))
    reads = transport_read(job)

    def new_task(plan: LoadPlan, level: int) -> LevelTask:
        return LevelTask(
            plan,
            level,
            way.through(settings),
            tuple(texts),
            rule.metrics(),
            audible_rule(settings.audible),
            secrets_of(settings),
            reads is not None,
            fault_port=way.fault_port,
        )

    return OpenedEngine(
        _engine(job, new_task, cores, machines, way.ports),
        len(texts),
        recorded_settings(effective, description),
        {
            "target": description,
            "clock": "real",
            "client": cores.describe() | {"engine": "reader" if reads else "threads"},
            "reader_error": _reader_error(job, cores, reads) if reads and not machines else None,
        },
    )


def _engine(
    job: LoadJob,
    new_task: NewTask,
    cores: ClientCores,
    machines: Sequence[RayMachine],
    ports_between: Sequence[int] = (),
) -> LocalEngine | MachinesEngine:
    """Return the engine of this machine, or that of ``machines`` if there are any.

    ``ports_between`` are those of a proxy: its time is not foreign.
    """
    if machines:
        return MachinesEngine(new_task, machines, _needs(job, len(machines)))
    return LocalEngine(new_task, cores, {*_ports_here(job.settings), *ports_between})


def _needs(job: LoadJob, machines: int) -> MachineNeeds:
    """Return what each of ``machines`` machines needs for its part of the replies."""
    settings = job.settings
    return MachineNeeds(
        at_once(job, job.arrivals) / machines,
        tuple(urlsplit(url).hostname or "" for url in server_urls(settings)),
        tuple(_ports_here(settings)),
        settings.load.processes,
        in_process=False,
        reads=None if is_spoken(settings) else transport_read(job),
    )


def _reader_error(job: LoadJob, cores: ClientCores, over: Over) -> dict[str, object]:
    """Return the reader's own error with as many streams as one process will receive, for a second.

    It is measured on this machine just before the first level.
    """
    arrivals, load = job.arrivals, job.settings.load
    receiving = receiving_at_once(arrivals, job.behaviour, load.reply_s)
    streams = min(max(math.ceil(receiving / len(cores.of_processes)), 1), MOST_READING[over])
    try:
        return measure_streams(streams, SECONDS_OF_ERROR, over=over).as_dict()
    except (CannotMeasure, UsageError) as error:
        return {"not_measured": str(error)}


def _ports_here(settings: Settings) -> set[int]:
    """Return the ports of the target's servers on this machine."""
    found = set()
    for url in server_urls(settings):
        parts = urlsplit(url)
        if is_this_machine(parts.hostname or ""):
            found.add(parts.port or (443 if parts.scheme in ("https", "wss") else 80))
    return found


def _ignore(_line: str) -> None:
    """Say nothing."""
