"""Levels that a reading loop carries out, against a paced server in a process of its own.

Nothing here asserts how exact the reader is on a busy machine; `voicebench selftest --streams`
measures that.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import closing
from itertools import pairwise

import pytest
from paced_turns import cascade_settings

from voicebench.audio.pcm import AudibleRule
from voicebench.errors import CannotMeasure
from voicebench.load.call_plan import Behaviour, LoadPlan, Population, TurnRate
from voicebench.load.distributions import read_count, read_duration
from voicebench.load.loaded_turn import LoadedTurn
from voicebench.load.pacing import paced_process
from voicebench.load.pacing.paced_process import paced_server
from voicebench.load.pacing.paced_script import PacedScript
from voicebench.load.reading import reading_choice
from voicebench.load.reading.reading_choice import is_readable
from voicebench.load.running.client_cores import ClientCores
from voicebench.load.running.level_task import LevelTask
from voicebench.load.running.local_engine import LocalEngine
from voicebench.settings import load_settings
from voicebench.turn.playback import NS_PER_S, listen
from voicebench.turn.timeline import Timeline

METRICS = ("first_audio_due_ms", "late_ms", "client_lag_ms", "audio_s", "setup_ms")
BRISK = Behaviour(
    read_duration("exp:100ms", "t"), read_duration("200ms", "s"), read_count("geometric:2", "n")
)
ONE = ClientCores((None,), server_is_here=True, usable=2)
TWO = ClientCores((None, None), server_is_here=True, usable=2)
SCRIPT = PacedScript(ttft_s=0.05, token_s=0.002, words=3, ttfb_s=0.05, speed_x=20)


def engine_for(host: str, kept: list[Timeline], cores: ClientCores = ONE) -> LocalEngine:
    settings = load_settings(None, cascade_settings(host)).settings
    assert is_readable(settings)

    def new_task(plan: LoadPlan, level: int) -> LevelTask:
        return LevelTask(plan, level, settings, ("One", "Two"), METRICS, AudibleRule(), reads=True)

    return LocalEngine(new_task, cores, (), kept.append)


def held(
    script: PacedScript, plan: LoadPlan, seconds: float, cores: ClientCores = ONE
) -> tuple[list[LoadedTurn], list[Timeline], dict[str, object]]:
    kept: list[Timeline] = []
    with (
        paced_server(script) as server,
        closing(engine_for(server.host, kept, cores).start(plan, 1)) as level,
    ):
        done = [*level.advance(seconds), *level.drain(seconds, 5.0)]
        assert not level.client_state().broken
        return done, kept, server.state()


def test_a_population_is_taken_as_planned() -> None:
    plan = LoadPlan(5, Population(5), BRISK, prompts=2)
    done, kept, state = held(SCRIPT, plan, 2.5, TWO)
    assert len(done) == len(kept) > 8
    assert {turn.prompt for turn in kept} == {"One", "Two"}
    calls: defaultdict[tuple[int, int], list[Timeline]] = defaultdict(list)
    for turn in kept:
        assert turn.load is not None
        assert turn.load.late_ns >= 0
        calls[turn.load.caller, turn.load.call].append(turn)
    assert {caller for caller, _ in calls} == set(range(5))
    assert isinstance(state["answered"], int)
    # Each turn is a request to the model and one or two to the voice.
    assert state["answered"] >= 2 * len([turn for turn in done if turn.outcome == "answered"])
    for turns in calls.values():
        _follow_each_other(sorted(turns, key=lambda one: one.load.number if one.load else 0))
    answered = [turn for turn in done if turn.outcome == "answered"]
    assert len(answered) >= len(done) - 5
    for one in answered:
        first_ms, audio_s = one.values["first_audio_due_ms"], one.values["audio_s"]
        assert first_ms is not None
        assert first_ms > 99  # as the script says; a busy machine may add any time
        assert audio_s == pytest.approx(0.9, abs=0.09)
    setups = [turn.values["setup_ms"] for turn in done]
    assert sum(setup is not None and setup > 0 for setup in setups) >= 5
    assert any(setup is None for setup in setups)


def _follow_each_other(turns: list[Timeline]) -> None:
    """Check that each turn was due when the plan says, by the playback of the one before."""
    for before, turn in pairwise(turns):
        assert before.load is not None
        assert turn.load is not None
        if turn.load.number != before.load.number + 1 or before.sound is None or before.failed:
            continue
        start_ns = before.load.due_ns + before.load.late_ns
        heard_ns = max(before.end_ns, round(listen(before.audio, 24_000).end_ns))
        pause_s = (turn.load.due_ns - start_ns - heard_ns) / NS_PER_S
        assert pause_s >= 0.199  # the caller's speech


def test_single_turns_are_taken_however_many_are_open_and_refusals_are_counted() -> None:
    script = PacedScript(ttft_s=0.8, words=2, ttfb_s=0.01, speed_x=20, refuse_every=5)
    done, kept, state = held(script, LoadPlan(7, TurnRate(20.0), BRISK, prompts=2), 1.5)
    assert len(done) == len(kept) > 18
    assert isinstance(state["most_at_once"], int)
    assert state["most_at_once"] >= 8
    outcomes = [turn.outcome for turn in done]
    assert outcomes.count("refused") >= 3
    assert outcomes.count("answered") >= 12


def test_a_process_that_no_caller_is_in_at_the_start_is_ready() -> None:
    done, kept, _ = held(SCRIPT, LoadPlan(5, Population(1), BRISK, prompts=2), 1.5, TWO)
    assert len(done) == len(kept) >= 1
    assert {turn.outcome for turn in done} <= {"answered", "unfinished"}


def test_turns_that_are_open_at_the_end_are_kept_as_unfinished() -> None:
    kept: list[Timeline] = []
    script = PacedScript(ttft_s=0.05, words=2, audio_s=60)
    plan = LoadPlan(7, TurnRate(8.0), BRISK, prompts=2)
    with (
        paced_server(script) as server,
        closing(engine_for(server.host, kept).start(plan, 1)) as level,
    ):
        assert level.advance(1.2) == []
        open_before = level.open_due_s()
        done = level.drain(1.2, 0.1)
    assert len(open_before) >= 4
    assert len(done) >= len(open_before)
    assert {turn.outcome for turn in done} == {"unfinished"}
    assert all(turn.load is not None and turn.load.unfinished for turn in kept)


def test_a_server_that_is_not_there_ends_the_level_before_it_starts() -> None:
    with paced_server(SCRIPT) as server:
        host = server.host
    with pytest.raises(CannotMeasure, match="cannot be reached"):
        engine_for(host, []).start(LoadPlan(1, Population(2), BRISK), 1)


@pytest.mark.parametrize(
    ("values", "readable"),
    [
        ({}, True),
        ({"tts.format": "wav"}, False),
        ({"tts.stream_format": "sse"}, False),
        ({"llm.stream": False}, False),
        ({"llm.url": "https://127.0.0.1:1/v1"}, False),
        ({"wire.http2": True}, False),
        ({"wire.cold_connection": True}, False),
    ],
)
def test_targets_that_it_cannot_read(values: dict[str, object], readable: bool) -> None:
    settings = load_settings(None, cascade_settings("127.0.0.1:1") | values).settings
    assert is_readable(settings) == readable


def test_on_windows_threads_take_the_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(None, cascade_settings("127.0.0.1:1")).settings
    monkeypatch.setattr(reading_choice, "CAN_WAIT_FOR_PIPES", False)
    assert not is_readable(settings)
    monkeypatch.setattr(paced_process, "CAN_PASS_SOCKETS", False)
    with (
        pytest.raises(CannotMeasure, match="does not run on Windows"),
        paced_server(SCRIPT),
    ):
        pass
