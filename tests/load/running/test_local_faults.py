"""Processes die, the server goes away, the disk is full: named, nothing lost, no hang."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import closing

import psutil
import pytest
from loopback import closed_port
from served_process import ServedProcess, served_process

from voicebench.audio.pcm import AudibleRule
from voicebench.errors import CannotMeasure
from voicebench.load.call_plan import Behaviour, LoadPlan, Population
from voicebench.load.distributions import read_count, read_duration
from voicebench.load.running.client_cores import ClientCores
from voicebench.load.running.level_task import LevelTask
from voicebench.load.running.local_engine import LocalEngine
from voicebench.settings import load_settings
from voicebench.turn.timeline import Timeline

METRICS = ("first_audio_due_ms", "late_ms", "client_lag_ms")
SCRIPT = "sim:ttft=20ms,token=2ms,ttfb=10ms,speed=20x,words=2"
BRISK = Behaviour(read_duration("100ms", "t"), read_duration("200ms", "s"), read_count("3", "n"))
PLAN = LoadPlan(5, Population(4), BRISK)
TWO = ClientCores((None, None), server_is_here=True, usable=2)
ONE = ClientCores((None,), server_is_here=True, usable=2)
LONG_S = 120.0
"""A level that does not end early would take so long."""


@pytest.fixture(scope="module")
def server() -> Iterator[ServedProcess]:
    with served_process(SCRIPT) as served:
        yield served


def engine_for(
    url: str, kept: list[Timeline], cores: ClientCores = ONE, *, reads: bool = False
) -> LocalEngine:
    settings = load_settings(None, {"run.target": "voice", "server.url": url}).settings

    def new_task(plan: LoadPlan, level: int) -> LevelTask:
        return LevelTask(plan, level, settings, ("One",), METRICS, AudibleRule(), reads=reads)

    return LocalEngine(new_task, cores, (), kept.append)


@pytest.mark.parametrize("which", [0, 1], ids=["client", "sealer"])
def test_a_process_that_dies_ends_the_level_and_loses_nothing(
    server: ServedProcess, which: int
) -> None:
    kept: list[Timeline] = []
    with closing(engine_for(server.voice_url, kept, TWO).start(PLAN, 1)) as level:
        done = list(level.advance(1.5))
        for until_s in range(2, 60):
            if done:
                break
            done += level.advance(until_s)  # on a busy machine the first turns come later
        numbers = level.process_numbers
        os.kill(numbers[0][which], signal.SIGKILL)
        done += level.advance(LONG_S)
        [why] = level.client_state().broken[:1]
        before = len(done)
        done += level.drain(LONG_S, LONG_S)
    assert not any(psutil.pid_exists(pid) for core in numbers for pid in core)
    assert why.startswith("a process of the client failed: it was ended by signal 9")
    assert len(done) == len(kept) >= before > 0
    # The other process went on, and handed over what it had open.
    assert {turn.caller for turn in done[before:]} <= {1, 3}


def test_a_server_that_goes_away_fails_the_turns_with_the_reason() -> None:
    kept: list[Timeline] = []
    with (
        served_process(SCRIPT) as served,
        closing(engine_for(served.voice_url, kept, reads=True).start(PLAN, 1)) as level,
    ):
        done = list(level.advance(1.0))
        served.kill()
        done += level.advance(2.5)
        assert not level.client_state().broken
        done += level.drain(2.5, 5.0)
    failed = [turn.failure.reason for turn in kept if turn.failure is not None]
    assert len(done) == len(kept)
    assert len(failed) > 4
    assert all(served.voice_url in reason for reason in failed)
    assert {turn.outcome for turn in done} >= {"answered", "failed"}


@pytest.mark.skipif(sys.platform != "linux", reason="no limit of another process can be set")
@pytest.mark.parametrize("reads", [False, True], ids=["threads", "loop"])
def test_turns_without_a_file_descriptor_say_so_and_the_level_goes_on(
    server: ServedProcess, *, reads: bool
) -> None:
    kept: list[Timeline] = []
    with closing(engine_for(server.voice_url, kept, reads=reads).start(PLAN, 1)) as level:
        done = list(level.advance(0.5))
        client = level.process_numbers[0][0]
        before = resource.prlimit(client, resource.RLIMIT_NOFILE)
        resource.prlimit(client, resource.RLIMIT_NOFILE, (3, before[1]))
        limit_s = 0.5
        while not any(turn.failure for turn in kept) and limit_s < LONG_S:
            limit_s += 0.5
            done += level.advance(limit_s)
        resource.prlimit(client, resource.RLIMIT_NOFILE, before)
        again_s, failed = limit_s, len(kept)
        while all(turn.failure for turn in kept[failed:]) and limit_s < LONG_S:
            limit_s += 0.5
            done += level.advance(limit_s)
        assert not level.client_state().broken
        done += level.drain(limit_s, 5.0)
    assert len(done) == len(kept)
    reasons = {turn.failure.reason for turn in kept if turn.failure and turn.load is not None
               and not turn.load.unfinished}  # fmt: skip
    without = [reason for reason in reasons if "Too many open files" in reason]
    assert without
    assert all("ulimit -n" in reason and "start the server" not in reason for reason in without)
    assert any(turn.is_ours for turn in done)
    assert all(server.voice_url in reason for reason in reasons)
    assert any(turn.due_s > again_s and turn.outcome == "answered" for turn in done)


def test_turns_that_cannot_be_kept_end_the_level_with_the_reason(server: ServedProcess) -> None:
    def full(_turn: Timeline) -> None:
        raise CannotMeasure("turns cannot be written to /results (no space left)", "free space")

    engine = engine_for(server.voice_url, [])
    engine.keep = full
    with closing(engine.start(PLAN, 1)) as level:
        numbers = level.process_numbers
        with pytest.raises(CannotMeasure, match="no space left"):
            level.advance(LONG_S)
    assert not any(psutil.pid_exists(pid) for core in numbers for pid in core)


def test_connections_that_cannot_be_opened_end_the_level_before_it_starts() -> None:
    url = f"ws://127.0.0.1:{closed_port()}/v1/voice"
    with pytest.raises(CannotMeasure, match=url):
        engine_for(url, []).start(PLAN, 1)


def test_an_abandoned_level_keeps_what_has_ended(server: ServedProcess) -> None:
    kept: list[Timeline] = []
    with closing(engine_for(server.voice_url, kept).start(PLAN, 1)) as level:
        done = [*level.advance(1.5), *level.abandon()]
    assert len(done) == len(kept) > 0
    assert all(turn.load is not None and not turn.load.unfinished for turn in kept)
