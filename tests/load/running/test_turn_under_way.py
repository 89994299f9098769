"""A turn while it is under way: its delay, its lag, its end, and how it is handed on."""

from __future__ import annotations

import gc
import pickle
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from voicebench.audio.pcm import AudibleRule
from voicebench.audio.synthetic_voice import synthetic_voice
from voicebench.events import (
    AudioChunk,
    Connected,
    Fault,
    Token,
    TurnFailed,
    TurnFinished,
    TurnStarted,
)
from voicebench.load.call_plan import Behaviour, Call, DueTurn, LoadPlan, Population
from voicebench.load.distributions import read_count, read_duration
from voicebench.load.loaded_turn import outcome_of
from voicebench.load.running.level_clock import LevelClock, recorder_ns
from voicebench.load.running.level_task import LevelTask, PackedTurn, ProcessTask, TakenTurn
from voicebench.load.running.turn_sealer import seal_turn
from voicebench.load.running.turn_under_way import TurnUnderWay
from voicebench.load.shares import Share
from voicebench.remote.connection import kernel_stamps
from voicebench.settings import Settings
from voicebench.turn.load_place import LoadPlace
from voicebench.turn.playback import NS_PER_S
from voicebench.turn.recorder import Unsealed
from voicebench.turn.timeline import Stamped

RATE = 16_000
VOICE = synthetic_voice(RATE, RATE)


def begun(late_s: float = 0.0) -> TurnUnderWay:
    """Return a turn that was due so long ago."""
    clock = LevelClock(recorder_ns() - 5 * NS_PER_S)
    due = DueTurn(Call(3, 1, 4, 0.0), 2, clock.now_s() - late_s, 1.0, 0)
    return TurnUnderWay(due, "Hello", 7, clock, 1234)


def speak(turn: TurnUnderWay) -> None:
    turn.emit(TurnStarted("Hello"))
    turn.emit(Token("Hi"))
    for piece in np.split(VOICE, 4):
        turn.emit(AudioChunk(piece, RATE))


def task() -> ProcessTask:
    behaviour = Behaviour(read_duration("1s", "t"), read_duration("1s", "s"), read_count("2", "n"))
    metrics = ("first_audio_due_ms", "late_ms", "audio_s")
    plan = LoadPlan(1, Population(4), behaviour)
    return ProcessTask(LevelTask(plan, 7, Settings(), ("Hello",), metrics, AudibleRule()), Share())


def test_the_next_turn_waits_for_the_end_of_playback() -> None:
    turn = begun()
    speak(turn)
    turn.emit(TurnFinished())
    first_audio = turn.unsealed().events[2]
    # A second of audio came within milliseconds, and is heard out.
    assert (turn.heard().until_ns - first_audio.at_ns) / NS_PER_S == pytest.approx(1.0, abs=0.2)
    failed = begun()
    speak(failed)
    failed.emit(TurnFailed("broken", "engine", "tts"))
    assert failed.heard().until_ns == failed.unsealed().events[-1].at_ns


def test_the_place_has_the_delay_and_the_setup() -> None:
    turn = begun(late_s=2.0)
    speak(turn)
    turn.emit(TurnFinished())
    place = turn.place()
    assert (place.level, place.caller, place.call, place.number) == (7, 3, 1, 2)
    assert 2.0 <= place.late_ns / NS_PER_S < 4.0
    assert place.setup_ns == 1234
    assert not place.unfinished


def test_a_turn_that_is_cut_off_keeps_what_came_and_ignores_the_rest() -> None:
    turn = begun()
    speak(turn)
    turn.cut_off()
    turn.emit(AudioChunk(VOICE, RATE))
    turn.emit(TurnFinished())
    sealed = seal_turn(TakenTurn(1, turn.place(), PackedTurn.of(turn.unsealed())), task())
    assert sealed.turn.outcome == "unfinished"
    assert sealed.turn.values["audio_s"] == 1.0
    assert sealed.timeline.failure is not None
    assert "still open" in sealed.timeline.failure.reason
    nothing = begun()
    nothing.cut_off()
    sealed = seal_turn(TakenTurn(1, nothing.place(), PackedTurn.of(nothing.unsealed())), task())
    assert (sealed.turn.outcome, sealed.timeline.prompt) == ("unfinished", "Hello")


def test_a_turn_that_had_ended_is_not_cut_off() -> None:
    turn = begun()
    speak(turn)
    turn.emit(TurnFinished())
    turn.cut_off()
    assert not turn.place().unfinished


def test_a_packed_turn_is_the_same_turn() -> None:
    turn = begun()
    speak(turn)
    turn.emit(Token(" there"))
    turn.emit(AudioChunk(VOICE[:100], RATE))
    turn.emit(TurnFinished())
    packed = pickle.loads(pickle.dumps(PackedTurn.of(turn.unsealed())))
    assert isinstance(packed, PackedTurn)
    before, after = turn.unsealed(), packed.unpacked()
    assert after.started_at == before.started_at
    assert len(after.events) == len(before.events)
    for one, other in zip(after.events, before.events, strict=True):
        assert one.at_ns == other.at_ns
        if isinstance(one.event, AudioChunk) and isinstance(other.event, AudioChunk):
            assert one.event.pcm.tolist() == other.event.pcm.tolist()
        else:
            assert one.event == other.event
    rule = AudibleRule()
    assert after.seal(1, "load", rule).timeline == before.seal(1, "load", rule).timeline


def test_a_turn_that_broke_the_rules_is_a_failed_one_and_not_lost() -> None:
    events = (
        Stamped(10, TurnStarted("Hello")),
        Stamped(20, AudioChunk(VOICE, RATE)),
        Stamped(15, TurnFinished()),
    )
    taken = TakenTurn(1, begun_place(), PackedTurn.of(Unsealed(events, "2026-01-01T00:00:00Z")))
    sealed = seal_turn(taken, task())
    assert sealed.turn.outcome == "failed"
    assert sealed.timeline.failure is not None
    assert "a defect of voicebench: time ran back" in sealed.timeline.failure.reason


def begun_place() -> LoadPlace:
    turn = begun()
    speak(turn)
    return turn.place()


@pytest.mark.parametrize(
    ("reason", "fault", "outcome"),
    [
        ("http://x answers 503: no room", "refused", "refused"),
        ("http://x answers 429: slow down", "refused", "refused"),
        ("http://x answers 401: no key", "refused", "failed"),
        ("http://x answers 500: oops", "engine", "failed"),
        ("8 turns run and 32 wait; try again later", "refused", "refused"),
        ("http://x closed the connection early", "protocol", "failed"),
    ],
)
def test_a_server_without_room_refuses(reason: str, fault: Fault, outcome: str) -> None:
    turn = begun()
    turn.emit(TurnStarted("Hello"))
    turn.emit(TurnFailed(reason, fault, "turn"))
    sealed = seal_turn(TakenTurn(1, turn.place(), PackedTurn.of(turn.unsealed())), task())
    assert sealed.turn.outcome == outcome == outcome_of(sealed.timeline)


def test_a_turn_is_freed_without_the_garbage_collector() -> None:
    with _no_collections():
        turn = begun()
        speak(turn)
        turn.emit(TurnFinished())
        known = weakref.ref(turn)
        del turn
        assert known() is None


@contextmanager
def _no_collections() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def test_the_lag_is_the_largest_up_to_first_audio(monkeypatch: pytest.MonkeyPatch) -> None:
    lain_ms = iter([3.0, None, 20.0, 400.0])
    turn = begun()

    def take() -> int | None:
        ms = next(lain_ms)
        return None if ms is None else recorder_ns() - round(ms * 1e6)

    monkeypatch.setattr(kernel_stamps, "take", take)
    connected = Connected(1.0, reused=True)  # Its head is taken apart after the read.
    for event in (TurnStarted("Hello"), connected, Token("a"), Token("b"), AudioChunk(VOICE, RATE)):
        turn.emit(event)
    turn.emit(AudioChunk(VOICE, RATE))  # 400 ms: after first audio
    turn.emit(TurnFinished())
    lag_ns = turn.place().client_lag_ns
    assert lag_ns is not None
    assert 19.9 <= lag_ns / 1e6 < 400.0
