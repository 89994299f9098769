"""Faults between client and server, and a server that is restarted: no turn is lost."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from contextlib import closing

import pytest
from served_process import ServedProcess, served_process

from voicebench.audio.pcm import AudibleRule
from voicebench.errors import UsageError
from voicebench.load.call_plan import Behaviour, LoadPlan, Population
from voicebench.load.distributions import read_count, read_duration
from voicebench.load.fault_plan import read_faults
from voicebench.load.loaded_turn import LoadedTurn, columns_of_turns
from voicebench.load.running.client_cores import ClientCores
from voicebench.load.running.level_task import LevelTask
from voicebench.load.running.local_engine import LocalEngine
from voicebench.load.running.refusals import check_faults
from voicebench.load.running.way_to_server import WayToServer, way_to_server
from voicebench.settings import Settings, load_settings
from voicebench.turn.timeline import Timeline

METRICS = ("first_audio_due_ms", "late_ms", "client_lag_ms", "audio_s")
SCRIPT = "sim:ttft=20ms,token=1ms,ttfb=10ms,speed=20x,words=3"
BRISK = Behaviour(read_duration("100ms", "t"), read_duration("100ms", "s"), read_count("20", "n"))
ONE = ClientCores((None,), server_is_here=True, usable=2)


def settings_for(url: str, faults: str | None) -> Settings:
    values = {"run.target": "voice", "server.url": url, "load.faults": faults}
    return load_settings(None, values).settings


def engine_for(
    settings: Settings, way: WayToServer, kept: list[Timeline], *, reads: bool = True
) -> LocalEngine:
    reached = way.through(settings)

    def new_task(plan: LoadPlan, level: int) -> LevelTask:
        return LevelTask(
            *(plan, level, reached, ("One",), METRICS, AudibleRule()),
            reads=reads,
            fault_port=way.fault_port,
        )

    return LocalEngine(new_task, ONE, (), kept.append)


@pytest.mark.parametrize("reads", [False, True], ids=["threads", "loop"])
def test_each_fault_disturbs_the_turns_that_were_drawn_and_no_other(*, reads: bool) -> None:
    faults = "reset=20%,slow=20%:400ms"
    kept: list[Timeline] = []
    with served_process(SCRIPT) as served:
        settings = settings_for(served.voice_url, faults)
        plan = LoadPlan(5, Population(6), BRISK, faults=read_faults(faults, "it"))
        with (
            way_to_server(settings) as way,
            closing(engine_for(settings, way, kept, reads=reads).start(plan, 1)) as level,
        ):
            done = [*level.advance(3.0), *level.drain(3.0, 5.0)]
    assert len(done) == len(kept) > 20
    seen: Counter[str | None] = Counter()
    for turn in kept:
        place = turn.load
        assert place is not None
        if place.unfinished:  # it may have ended before its fault was made
            continue
        due = plan.faults and plan.faults.drawn(5, place.caller, place.call, place.number)
        assert place.fault == (due.kind if due else None)
        seen[place.fault] += 1
        if place.fault == "reset":
            assert turn.failure is not None
            assert "connection" in turn.failure.reason
        elif place.fault == "slow":
            assert turn.failure is None
            assert turn.audio[0].at_ns >= 400_000_000
        else:
            assert turn.failure is None
    assert seen["reset"] >= 2
    assert seen["slow"] >= 2
    # What is judged has none of them.
    turns = columns_of_turns(done, METRICS)
    assert int(turns.disturbed.sum()) >= seen["reset"] + seen["slow"]
    assert {turn.fault for turn in done} == {None, "reset", "slow"}


def failed_in(turns: list[Timeline]) -> list[Timeline]:
    return [
        turn
        for turn in turns
        if turn.failure is not None and turn.load is not None and not turn.load.unfinished
    ]


def test_a_server_that_is_restarted_is_survived_and_nothing_is_lost() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    kept: list[Timeline] = []
    again: list[ServedProcess] = []
    done: list[LoadedTurn] = []
    over = threading.Event()

    def serve_again() -> None:
        with served_process(SCRIPT, port=port) as served:
            again.append(served)
            over.wait(60)

    with served_process(SCRIPT, port=port) as served:
        settings = settings_for(served.voice_url, None)
        plan = LoadPlan(5, Population(4), BRISK)
        level = engine_for(settings, WayToServer(), kept).start(plan, 1)
        with closing(level):
            waited_s = 1.5
            done += level.advance(waited_s)
            while not done and waited_s < 60:  # sealing gives way to everything else
                waited_s += 0.5
                done += level.advance(waited_s)
            before = len(done)
            assert {turn.outcome for turn in done} == {"answered"}
            served.kill()
            # A server that is back at once may be missed by nobody: callers mostly listen.
            while not failed_in(kept) and waited_s < 60:
                waited_s += 0.5
                done += level.advance(waited_s)
            restarting = threading.Thread(target=serve_again)
            restarting.start()
            while not again and waited_s < 60:
                waited_s += 0.5
                done += level.advance(waited_s)
            done += level.advance(waited_s + 2.0)
            done += level.drain(waited_s + 2.0, 5.0)
            over.set()
            restarting.join()
    assert len(done) == len(kept)
    failed = failed_in(kept)
    assert failed
    for turn in failed:
        assert turn.failure is not None
        assert turn.failure.reason.startswith("ws://127.0.0.1")
    # It goes on as before: the last turns are answered, and no caller is gone.
    last = [turn for turn in done[before:] if turn.due_s > waited_s + 0.5]
    assert {turn.outcome for turn in last} <= {"answered", "unfinished"}
    assert {turn.caller for turn in last} == set(range(4))
    numbers = sorted((t.load.caller, t.load.call, t.load.number) for t in kept if t.load)
    assert len(set(numbers)) == len(numbers)
    for caller in range(4):
        own = [number for who, call, number in numbers if who == caller and call == 0]
        assert own == list(range(own[0], own[0] + len(own)))


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"run.target": "sim:"}, "needs a server behind a URL"),
        ({"run.target": "voice", "server.url": "wss://127.0.0.1:1/v1/voice"}, "encrypted"),
    ],
)
def test_faults_without_a_way_for_the_proxy_are_refused(values: dict[str, str], why: str) -> None:
    settings = load_settings(None, {**values, "load.faults": "reset=1%"}).settings
    with pytest.raises(UsageError, match=why):
        check_faults(settings)
