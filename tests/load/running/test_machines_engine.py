"""Several machines carry out one plan: on a real Ray cluster of two nodes on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import takewhile
from typing import Any

import numpy as np
import pytest
from served_process import ServedProcess, served_process
from spoken_levels import AGENT, spoken_level, spoken_tasks

from voicebench.audio.pcm import AudibleRule
from voicebench.checks.scripted_agent_server import scripted_agent_server
from voicebench.errors import CannotMeasure, UsageError
from voicebench.figures.metrics import BY_NAME
from voicebench.load.call_plan import Behaviour, LoadPlan, TurnRate
from voicebench.load.distributions import read_count, read_duration
from voicebench.load.running.level_task import LevelTask
from voicebench.load.running.machine_clients import MachineNeeds, check_alike, facts_here
from voicebench.load.running.machines_engine import MachinesEngine
from voicebench.load.running.ray_machines import MachineLost, RayMachine, ray_machines
from voicebench.load.running.refusals import check_ray, check_same_server
from voicebench.settings import load_settings
from voicebench.turn.timeline import Timeline

METRICS = ("first_audio_due_ms", "late_ms", "client_lag_ms", "audio_s")
SCRIPT = "sim:ttft=20ms,token=1ms,ttfb=10ms,speed=20x,words=3"
CALLS = Behaviour(read_duration("1s", "t"), read_duration("1s", "s"), read_count("1", "n"))
NEEDS = MachineNeeds(2.0, ("127.0.0.1",), (), 1, in_process=False, reads=None)


@pytest.fixture(scope="module")
def server() -> Iterator[ServedProcess]:
    with served_process(SCRIPT) as served:
        yield served


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Give a cluster of two nodes, each with one core to give away."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1)
    yield made
    made.shutdown()  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def machines(cluster: Any) -> Iterator[list[RayMachine]]:
    with ray_machines(cluster.address) as found:
        yield found


def task_of(url: str) -> Any:
    settings = load_settings(None, {"run.target": "voice", "server.url": url}).settings

    def new_task(plan: LoadPlan, level: int) -> LevelTask:
        return LevelTask(plan, level, settings, ("One", "Two"), METRICS, AudibleRule())

    return new_task


def taken(kept: list[Timeline], before_s: float) -> list[tuple[int, int, str]]:
    """Return due moment, caller and prompt of the turns that were due before a moment."""
    return sorted(
        (turn.load.due_ns, turn.load.caller, turn.prompt)
        for turn in kept
        if turn.load is not None and turn.load.due_ns < before_s * 1e9
    )


def planned(plan: LoadPlan, before_s: float) -> list[tuple[int, int, str]]:
    """Return the same of a plan of single turns, which one machine takes as they are."""
    due = map(plan.first_turn, takewhile(lambda call: call.begins_s < before_s, plan.calls()))
    texts = ("One", "Two")
    return sorted(
        (round(turn.due_s * 1e9), turn.call.caller, texts[int(turn.prompt) % 2])
        for turn in due
        if turn.due_s < before_s
    )


@pytest.mark.slow
def test_callers_who_speak_are_divided_among_machines(machines: list[RayMachine]) -> None:
    with scripted_agent_server(AGENT, "pcm") as served:
        kept: list[Timeline] = []
        engine = MachinesEngine(spoken_tasks(served.url, METRICS), machines, NEEDS, kept.append)
        with closing(engine.start(spoken_level(4), 1)) as level:
            done = [*level.advance(2.5), *level.drain(0.0, 1.0)]
            state, described = level.client_state(), level.describe()
    assert state.broken == ()
    _each_clock_is_bounded(described)
    assert len(done) == len(kept)
    assert {turn.load.caller for turn in kept if turn.load is not None} == set(range(4))
    assert {turn.outcome for turn in done} <= {"answered", "unfinished"}
    responses = [BY_NAME["response_ms"].of(turn) for turn in kept if turn.failure is None]
    # No latency crosses two clocks: each is that of the script, and a busy machine adds to it.
    assert 190 < np.median([value for value in responses if value is not None]) < 400


@pytest.mark.slow
def test_two_machines_take_the_plan_of_one_and_a_lost_one_invalidates_the_level(
    cluster: Any, machines: list[RayMachine], server: ServedProcess
) -> None:
    plan = LoadPlan(8, TurnRate(8.0), CALLS, prompts=2)
    assert len(machines) == 2
    check_alike(facts_here(), [machine.facts for machine in machines])
    kept: list[Timeline] = []
    engine = MachinesEngine(task_of(server.voice_url), machines, NEEDS, kept.append)
    with closing(engine.start(plan, 1)) as level:
        done = [*level.advance(2.0), *level.drain(2.0, 10.0)]
        state, described = level.client_state(), level.describe()
    assert state.broken == ()
    assert taken(kept, 2.0) == planned(plan, 2.0)
    assert len(taken(kept, 2.0)) > 6
    assert {turn.outcome for turn in done if turn.due_s < 2.0} == {"answered"}
    _each_clock_is_bounded(described)
    _a_lost_machine_is_named(cluster, machines, server.voice_url, plan)


def _each_clock_is_bounded(described: dict[str, Any]) -> None:
    assert len(described["machines"]) == 2
    for machine in described["machines"]:
        clock = machine["clock"]
        # Both actors read the clock of this one machine.
        assert abs(clock["offset_ms"]) <= clock["probe_bound_ms"] + 0.5
        assert 0 < clock["bound_ms"] < 1000
        assert clock["drift_per_million"] is not None
        assert machine["memory_mb"] > 10
        assert machine["lost"] is None


def _a_lost_machine_is_named(
    cluster: Any, machines: list[RayMachine], url: str, plan: LoadPlan
) -> None:
    kept: list[Timeline] = []
    engine = MachinesEngine(task_of(url), machines, NEEDS, kept.append)
    with closing(engine.start(plan, 2)) as level:
        done = list(level.advance(1.5))
        (other,) = cluster.worker_nodes
        cluster.remove_node(other, allow_graceful=False)
        done += level.advance(600.0)  # it does not wait for them: a machine is gone
        state = level.client_state()
        done += level.drain(600.0, 1.0)
        described: dict[str, Any] = level.describe()
    assert len(state.broken) == 1
    assert "was lost" in state.broken[0]
    assert len(done) == len(kept) > 2
    assert sum(machine["lost"] is not None for machine in described["machines"]) == 1


def test_a_machine_that_is_lost_before_the_level_begins_is_named() -> None:
    class Gone:
        name = "gone (1)"

        def offset(self) -> None:
            raise MachineLost("ActorUnavailableError")

    gone: Any = [Gone()]
    engine = MachinesEngine(task_of("ws://127.0.0.1:1/v1/voice"), gone, NEEDS, lambda _turn: None)
    with pytest.raises(CannotMeasure, match="was lost before the level began"):
        engine.start(LoadPlan(8, TurnRate(8.0), CALLS, prompts=2), 1)


def test_a_machine_with_other_code_is_refused() -> None:
    ours = facts_here()
    check_alike(ours, [ours, replace(ours, python=ours.python + "9")])
    for other, said in (
        (replace(ours, voicebench="0.0.9"), "has voicebench 0.0.9"),
        (replace(ours, python="3.99.1"), "has Python 3.99"),
        (replace(ours, source="0" * 16), "has source of voicebench 0000"),
    ):
        with pytest.raises(UsageError, match=said):
            check_alike(ours, [ours, other])


def test_a_cluster_that_is_not_there_is_named() -> None:
    pytest.importorskip("ray")
    with pytest.raises(CannotMeasure, match="no Ray cluster"), ray_machines("127.0.0.1:1"):
        pass


def test_what_several_machines_cannot_do_is_refused() -> None:
    sim = load_settings(None, {"run.target": "sim:", "load.ray": "auto"}).settings
    with pytest.raises(UsageError, match="needs a server"):
        check_ray(sim)
    url = "ws://127.0.0.1:1/v1/voice"
    values = {"run.target": "voice", "server.url": url, "load.ray": "auto"}
    faulty = load_settings(None, {**values, "load.faults": "reset=1%"}).settings
    with pytest.raises(UsageError, match="exclude each other"):
        check_ray(faulty)
    inside = load_settings(None, {"run.target": "cascade", "load.ray": "auto"}).settings
    with pytest.raises(UsageError, match="each machine would compute by itself"):
        check_ray(inside)
    near = load_settings(None, values).settings
    check_ray(near)
    check_same_server(near, ["one", "one"])
    with pytest.raises(UsageError, match="another server on each of 2 machines"):
        check_same_server(near, ["one", "two"])
