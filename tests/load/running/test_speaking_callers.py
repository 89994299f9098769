"""Callers who speak, against a scripted agent in a process of its own, on loopback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest
from loopback import closed_port
from spoken_levels import AGENT, call_plan, spoken_level, spoken_tasks

from voicebench.agents.agent_kinds import SimulatedAgent
from voicebench.calls.running.placing import place_call
from voicebench.calls.sealing import seal_call
from voicebench.checks.agent_wires import AGENT_WIRES
from voicebench.checks.scripted_agent_server import scripted_agent_server
from voicebench.errors import CannotMeasure, UsageError
from voicebench.figures.metrics import BY_NAME
from voicebench.load.call_plan import Population, TurnRate
from voicebench.load.level_rule import LevelRule
from voicebench.load.load_gate import SPOKEN_GATES, load_gates
from voicebench.load.loaded_turn import LoadedTurn, columns_of_turns
from voicebench.load.running.client_cores import ClientCores
from voicebench.load.running.local_engine import LocalEngine
from voicebench.load.running.refusals import check_spoken
from voicebench.settings import load_settings
from voicebench.turn.timeline import Timeline

CALLERS = 4
RULE = LevelRule(load_gates([*SPOKEN_GATES, "stop.p90 < 400ms"]), 30.0, 0.05)


@pytest.fixture(scope="module")
def agent() -> Iterator[str]:
    with scripted_agent_server(AGENT, "pcm") as served:
        yield served.url


def engine_for(url: str, kept: list[Timeline]) -> LocalEngine:
    new_task = spoken_tasks(url, (*RULE.metrics(), "stop_ms"))
    return LocalEngine(new_task, ClientCores((None,), True, 2), (), kept.append)


@pytest.fixture(scope="module")
def held(agent: str) -> tuple[list[Timeline], list[LoadedTurn]]:
    kept: list[Timeline] = []
    with closing(engine_for(agent, kept).start(spoken_level(CALLERS), 1)) as level:
        done = [*level.advance(4.5), *level.drain(0.0, 1.0)]
        assert level.client_state().broken == ()
        assert level.open_due_s() == ()
    return kept, done


def test_each_step_of_each_call_is_a_turn_and_nothing_is_lost(
    held: tuple[list[Timeline], list[LoadedTurn]],
) -> None:
    kept, done = held
    assert len(kept) == len(done)
    assert [turn.turn for turn in kept] == list(range(1, len(kept) + 1))
    steps: dict[tuple[int, int], list[int]] = {}
    for turn in kept:
        assert turn.load is not None
        assert turn.call is not None
        steps.setdefault((turn.load.caller, turn.load.call), []).append(turn.load.number)
        assert turn.load.interrupts == (turn.call.kind == "interruption")
    assert {caller for caller, _ in steps} == set(range(CALLERS))
    assert all(numbers == list(range(len(numbers))) for numbers in steps.values())
    # A caller who hangs up is replaced: some have a second call, which begins later.
    assert any(call > 0 for _, call in steps)
    unfinished = [turn for turn in done if turn.outcome == "unfinished"]
    assert len(unfinished) <= CALLERS
    assert {turn.outcome for turn in done} <= {"answered", "unfinished"}


def test_the_response_is_the_scripted_one_and_counts_from_the_due_moment(
    held: tuple[list[Timeline], list[LoadedTurn]],
) -> None:
    simulated = SimulatedAgent(AGENT, AGENT_WIRES["pcm"].rate)
    scripted = seal_call(
        place_call(simulated, call_plan(), 1, simulated.clock), 1, "measured"
    ).turns
    errors, stops = [], []
    for turn in held[0]:
        if turn.failure is not None or turn.load is None:
            continue
        response = BY_NAME["response_ms"].of(turn)
        wanted = BY_NAME["response_ms"].of(scripted[turn.load.number])
        assert response is not None
        assert wanted is not None
        errors.append(response - wanted)
        due = BY_NAME["first_audio_due_ms"].of(turn)
        assert due == pytest.approx(response + turn.load.late_ns / 1e6)
        stops += [value for value in (BY_NAME["stop_ms"].of(turn),) if value is not None]
    assert len(errors) >= 2 * CALLERS
    # The machine may be busy; its delays only add. The benchmark measures p99 on a quiet one.
    assert -5 < np.median(errors) < 15
    assert stops


def test_gates_count_the_steps_that_ask_for_it(
    held: tuple[list[Timeline], list[LoadedTurn]],
) -> None:
    _, done = held
    turns = columns_of_turns(done, (*RULE.metrics(), "stop_ms"))
    response, errors, stop = RULE.gates
    assert response.counted(turns).all()
    assert errors.counted(turns).all()
    assert (stop.counted(turns) <= turns.interrupts).all()
    assert stop.counted(turns).sum() >= CALLERS
    # On Linux the kernel says how long the answer lay there before it was read.
    lags = turns.values["client_lag_ms"][turns.went_well]
    assert (lags >= 0).all() if sys.platform == "linux" else np.isnan(lags).all()
    # An agent that talked on keeps no limit, and counts: it has no stop time.
    place = int(np.flatnonzero(stop.counted(turns))[0])
    turns.values["stopped"][place], turns.values["stop_ms"][place] = 0.0, np.nan
    assert stop.counted(turns)[place]
    assert not stop.kept(turns)[place]


def test_an_agent_that_is_not_there_ends_the_level_before_it_starts() -> None:
    kept: list[Timeline] = []
    with pytest.raises(CannotMeasure):
        engine_for(f"ws://127.0.0.1:{closed_port()}", kept).start(spoken_level(CALLERS), 1)
    assert not kept


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"call.url": "sim:"}, "need an agent behind a URL"),
        ({}, "need an agent behind a URL"),
        ({"load.faults": "reset=1%"}, "load.faults cannot .* disturbs every step after it"),
        ({"load.interrupt": "20% exp:1s"}, "write interruptions into the script"),
    ],
)
def test_what_speaking_callers_cannot_do_is_refused(values: dict[str, str], said: str) -> None:
    named = {"run.target": "call", "call.url": "ws://127.0.0.1:1", **values}
    if not values:
        del named["call.url"]
    settings = load_settings(None, named).settings
    with pytest.raises(UsageError, match=said):
        check_spoken(settings, Population(2))
    plain = load_settings(None, {"run.target": "call", "call.url": "ws://127.0.0.1:1"}).settings
    with pytest.raises(UsageError, match="give --callers or --calls"):
        check_spoken(plain, TurnRate(1.0))
