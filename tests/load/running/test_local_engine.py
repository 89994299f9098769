"""Pinned processes, a thread a call or one reading loop, against a server in its own process.

Nothing here asserts how exact the client is on a busy machine; that is measured by a benchmark.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing

import pytest
from served_process import ServedProcess, served_process

from voicebench.audio.pcm import AudibleRule
from voicebench.load.call_plan import Behaviour, CallRate, LoadPlan, Population, TurnRate
from voicebench.load.distributions import read_count, read_duration
from voicebench.load.interruption import Interruption
from voicebench.load.loaded_turn import LoadedTurn
from voicebench.load.running.client_cores import ClientCores
from voicebench.load.running.level_task import LevelTask
from voicebench.load.running.local_engine import LocalEngine
from voicebench.settings import load_settings
from voicebench.turn.playback import NS_PER_S, listen
from voicebench.turn.timeline import Timeline

METRICS = ("first_audio_due_ms", "late_ms", "client_lag_ms", "audio_s", "setup_ms")
SCRIPT = "sim:ttft=60ms,token=2ms,ttfb=40ms,speed=20x,words=3"
BRISK = Behaviour(
    read_duration("exp:100ms", "t"), read_duration("200ms", "s"), read_count("geometric:2", "n")
)
TWO = ClientCores((None, None), server_is_here=True, usable=2)
ONE = ClientCores((None,), server_is_here=True, usable=2)


@pytest.fixture(scope="module")
def server() -> Iterator[ServedProcess]:
    with served_process(SCRIPT) as served:
        yield served


@pytest.fixture(scope="module")
def paced() -> Iterator[ServedProcess]:
    """0.9 s of sound, as fast as it is heard."""
    with served_process("sim:ttft=20ms,token=1ms,ttfb=10ms,speed=1x,words=3") as served:
        yield served


def engine_for(
    url: str, kept: list[Timeline], cores: ClientCores = TWO, *, reads: bool = False
) -> LocalEngine:
    values: dict[str, object] = {"run.target": "voice", "server.url": url}
    if url.startswith("http"):
        both = {"llm.url": f"{url}/v1", "tts.url": f"{url}/v1", "tts.format": "pcm"}
        values = {"run.target": "cascade", **both}
    elif "realtime" in url:
        values = {"run.target": "realtime", "server.url": url}
    settings = load_settings(None, values).settings

    def new_task(plan: LoadPlan, level: int) -> LevelTask:
        prompts = ("One", "Two")
        return LevelTask(plan, level, settings, prompts, METRICS, AudibleRule(), reads=reads)

    return LocalEngine(new_task, cores, (), kept.append)


def seconds(turn: Timeline) -> tuple[float, float, float]:
    """Return the due moment, the end and the end of playback of a turn on the level's clock."""
    assert turn.load is not None
    start_ns = turn.load.due_ns + turn.load.late_ns
    heard_ns = turn.end_ns
    if turn.sound is not None:
        heard_ns = max(heard_ns, round(listen(turn.audio, turn.sound.sample_rate).end_ns))
    return (
        turn.load.due_ns / NS_PER_S,
        (start_ns + turn.end_ns) / NS_PER_S,
        (start_ns + heard_ns) / NS_PER_S,
    )


@pytest.mark.parametrize("reads", [False, True], ids=["threads", "loop"])
def test_a_population_is_taken_as_planned(server: ServedProcess, *, reads: bool) -> None:
    kept: list[Timeline] = []
    plan = LoadPlan(5, Population(5), BRISK, prompts=2)
    with closing(engine_for(server.voice_url, kept, reads=reads).start(plan, 3)) as level:
        done = [*level.advance(1.5), *level.advance(3.0)]
        state = level.client_state()
        done += level.drain(3.0, 5.0)
    assert len(done) == len(kept) > 8
    assert state.busiest_core is not None
    assert not state.broken
    by_call: defaultdict[tuple[int, int], list[Timeline]] = defaultdict(list)
    for turn in kept:
        assert turn.load is not None
        assert turn.load.level == 3
        assert turn.load.late_ns >= 0
        by_call[turn.load.caller, turn.load.call].append(turn)
    assert [turn.turn for turn in kept] == list(range(1, len(kept) + 1))
    assert {caller for caller, _ in by_call} == set(range(5))
    assert {turn.prompt for turn in kept} == {"One", "Two"}
    _every_turn_is_the_plans(plan, by_call)
    answered = [turn for turn in done if turn.outcome == "answered"]
    assert len(answered) >= len(done) - 5
    for one in answered:
        first_ms = one.values["first_audio_due_ms"]
        assert first_ms is not None
        assert first_ms > 99  # what the script says; a busy machine may add any time


def _every_turn_is_the_plans(
    plan: LoadPlan, by_call: dict[tuple[int, int], list[Timeline]]
) -> None:
    """Each due moment is what the plan makes of the end of playback before it."""
    first_calls = {call.caller: call for call in plan.calls()}
    for caller in range(5):
        due = plan.first_turn(first_calls[caller])
        calls = sorted(key for key in by_call if key[0] == caller)
        turns = sorted(
            (turn for key in calls for turn in by_call[key]), key=lambda one: seconds(one)[0]
        )
        for turn in turns:
            place = turn.load
            assert place is not None
            assert (place.call, place.number) == (due.call.call, due.number)
            at_s, _, heard_s = seconds(turn)
            assert at_s == pytest.approx(due.due_s, abs=1e-6)
            following = plan.following(due, heard_s)
            assert following is not None
            due = following
            has_setup = place.setup_ns is not None
            assert has_setup == (place.number == 0 or turn is turns[0])


def test_the_same_plan_begins_alike_in_any_number_of_processes(server: ServedProcess) -> None:
    plan = LoadPlan(8, TurnRate(8.0), BRISK, prompts=2)
    found = []
    for cores in (ONE, TWO):
        kept: list[Timeline] = []
        with closing(engine_for(server.voice_url, kept, cores).start(plan, 1)) as level:
            done = [*level.advance(1.5), *level.drain(1.5, 5.0)]
        due = sorted((turn.due_s, turn.caller) for turn in done if turn.due_s < 1.5)
        found.append((due, sorted((t.load.due_ns, t.prompt) for t in kept if t.load)[: len(due)]))
    assert len(found[0][0]) > 4
    assert found[0] == found[1]


def test_turns_that_do_not_end_are_unfinished_and_kept() -> None:
    with served_process("sim:ttft=60s,words=3") as slow:
        kept: list[Timeline] = []
        plan = LoadPlan(5, CallRate(8.0), BRISK)
        with closing(engine_for(slow.voice_url, kept, ONE).start(plan, 1)) as level:
            done: list[LoadedTurn] = [*level.advance(1.5)]
            open_due_s = level.open_due_s()
            done += level.drain(1.5, 0.3)
    assert len(done) == len(kept) >= len(open_due_s) > 3
    assert {turn.outcome for turn in done} == {"unfinished"}
    assert all(turn.load is not None and turn.load.unfinished for turn in kept)
    assert all(turn.failure is not None for turn in kept)


@pytest.mark.parametrize("way", ["threads", "voice", "realtime", "cascade"])
def test_callers_interrupt_as_planned(paced: ServedProcess, way: str) -> None:
    calls = Behaviour(
        read_duration("100ms", "t"),
        read_duration("100ms", "s"),
        read_count("10", "n"),
        Interruption(0.6, read_duration("200ms", "i")),
    )
    kept: list[Timeline] = []
    plan = LoadPlan(5, Population(4), calls)
    url = {"realtime": paced.realtime_url, "cascade": paced.url}.get(way, paced.voice_url)
    engine = engine_for(url, kept, ONE, reads=way != "threads")
    with closing(engine.start(plan, 1)) as level:
        done = [*level.advance(2.5), *level.drain(2.5, 5.0)]
        assert not level.client_state().broken
    cut = [turn for turn in kept if turn.cut is not None]
    assert len(cut) >= 4
    assert {turn.outcome for turn in done} <= {"answered", "cut", "unfinished"}
    assert sum(turn.outcome == "cut" for turn in done) == len(cut)
    for turn in cut:
        assert turn.cut is not None
        assert turn.cut.how == ("hung up" if way == "cascade" else "asked")
        assert (turn.cut.stopped_ns is None) == (way == "cascade")
        assert turn.cut.at_ns >= turn.audio[0].at_ns + 200_000_000
        assert turn.load is not None
        assert turn.load.cut_after_ns == 200_000_000
    interrupting = [turn for turn in kept if turn.load is not None and turn.load.interrupts]
    by_place = {(t.load.caller, t.load.call, t.load.number): t for t in kept if t.load}
    assert interrupting
    for turn in interrupting:
        assert turn.load is not None
        before = by_place[turn.load.caller, turn.load.call, turn.load.number - 1]
        assert before.cut is not None
        assert before.load is not None
        heard_ns = before.load.due_ns + before.load.late_ns + before.cut.at_ns
        assert turn.load.due_ns == pytest.approx(heard_ns + 100_000_000, abs=1000)
