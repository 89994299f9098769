"""The one clock: each event stamped where it arises, in the order of the stamps."""

from __future__ import annotations

import itertools
import threading
import time
from datetime import UTC, datetime

import numpy as np
import pytest

from voicebench.audio.pcm import AudibleRule
from voicebench.errors import IllegalEvent
from voicebench.events import (
    AudioChunk,
    Event,
    TextChunk,
    Token,
    TurnFailed,
    TurnFinished,
    TurnStarted,
)
from voicebench.turn.recorder import Clock, Recorder

RULE = AudibleRule()
LOUD = np.sign(np.sin(np.arange(800))).astype(np.float32) / np.float32(2)


def ticks(*readings: int) -> Clock:
    """Return a clock with prepared answers."""
    return iter(readings).__next__


def test_each_event_gets_the_clocks_reading_at_its_emission() -> None:
    recorder = Recorder(ticks(1000, 1700, 1900, 2500))
    recorder.emit(TurnStarted("Hello?"))
    recorder.emit(Token("Hello."))
    recorder.emit(AudioChunk(LOUD, 8000))
    recorder.emit(TurnFinished())
    turn = recorder.seal(7, "warmup", RULE).timeline
    assert turn.tokens[0].at_ns == 700
    assert turn.audio[0].at_ns == 900
    assert turn.end_ns == 1500
    assert (turn.turn, turn.phase) == (7, "warmup")


def test_the_recording_holds_the_audio() -> None:
    recorder = Recorder(ticks(0, 1, 2))
    for event in (TurnStarted("Hello?"), AudioChunk(LOUD, 8000), TurnFinished()):
        recorder.emit(event)
    np.testing.assert_array_equal(recorder.seal(1, "measured", RULE).pcm, LOUD)


def test_the_clock_is_read_once_for_an_event_and_never_for_anything_else() -> None:
    readings = itertools.count()
    recorder = Recorder(lambda: next(readings))
    recorder.emit(TurnStarted("Hello?"))
    recorder.emit(TurnFinished())
    assert not recorder.seal(1, "measured", RULE).timeline.tokens
    assert recorder.ended
    assert next(readings) == 2


def test_the_order_of_the_stamps_is_the_order_of_the_events_whatever_the_threads_do() -> None:
    """Hold one thread between reading the clock and writing down, and let another one in."""
    readings = itertools.count()
    has_read, second_done = threading.Event(), threading.Event()

    def clock() -> int:
        reading = next(readings)
        if reading == 1:
            has_read.set()
            second_done.wait(0.05)  # a second stamp that could get in would be done by then
        return reading

    recorder = Recorder(clock)
    recorder.emit(TurnStarted("Hello?"))

    def emit_second() -> None:
        assert has_read.wait(5)
        recorder.emit(Token("second"))
        second_done.set()

    thread = threading.Thread(target=emit_second)
    thread.start()
    recorder.emit(Token("first"))
    thread.join(5)
    recorder.emit(TurnFinished())
    turn = recorder.seal(1, "measured", RULE).timeline
    assert [token.text for token in turn.tokens] == ["first", "second"]


def test_an_event_gets_the_moment_of_its_read_and_its_place_among_those_of_other_threads() -> None:
    """While the bytes of the token are taken apart, another thread emits a chunk of text."""
    recorder = Recorder(ticks(1000, 1300, 1500, 1800, 2000))
    recorder.emit(TurnStarted("Hello?"))
    recorder.emit(TextChunk("Hello."))
    recorder.emit(Token("Hello.", read_ns=1200))
    recorder.emit(AudioChunk(LOUD, 8000, read_ns=1700))
    recorder.emit(TurnFinished())
    assert [type(stamped.event) for stamped in recorder.unsealed().events] == [
        TurnStarted, Token, TextChunk, AudioChunk, TurnFinished
    ]  # fmt: skip
    turn = recorder.seal(1, "measured", RULE).timeline
    assert (turn.tokens[0].at_ns, turn.chunks[0].at_ns, turn.audio[0].at_ns) == (200, 300, 700)


@pytest.mark.parametrize(("read_ns", "stamp"), [(900, 0), (1000, 0), (1499, 499), (9999, 500)])
def test_a_read_is_stamped_within_the_turn_and_never_later_than_now(
    read_ns: int, stamp: int
) -> None:
    recorder = Recorder(ticks(1000, 1500, 1600))
    recorder.emit(TurnStarted("Hello?"))
    recorder.emit(Token("Hello.", read_ns=read_ns))
    recorder.emit(TurnFinished())
    assert recorder.seal(1, "measured", RULE).timeline.tokens[0].at_ns == stamp


def test_tokens_of_one_read_keep_their_order() -> None:
    recorder = Recorder(ticks(*range(1000, 1600, 100)))
    recorder.emit(TurnStarted("Hello?"))
    recorder.emit(Token("a", read_ns=1050))
    recorder.emit(TextChunk("a"))
    recorder.emit(Token("b", joined=True, read_ns=1050))
    recorder.emit(Token("c", joined=True, read_ns=1050))
    recorder.emit(TurnFinished())
    assert recorder.seal(1, "measured", RULE).timeline.reply == "abc"


def test_many_threads_lose_no_event_and_time_never_runs_back() -> None:
    recorder = Recorder()
    recorder.emit(TurnStarted("Hello?"))
    gate = threading.Barrier(4)

    def push() -> None:
        gate.wait(5)
        for _ in range(500):
            recorder.emit(Token("x"))

    threads = [threading.Thread(target=push) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    recorder.emit(TurnFinished())
    turn = recorder.seal(1, "measured", RULE).timeline  # raises where time ran back
    assert len(turn.tokens) == 2000


def test_who_watches_sees_each_event_with_its_stamp() -> None:
    seen: list[tuple[int, Event]] = []
    recorder = Recorder(ticks(10, 20), watch=lambda at_ns, event: seen.append((at_ns, event)))
    start, end = TurnStarted("Hello?"), TurnFailed("the model broke", "engine", "llm")
    recorder.emit(start)
    recorder.emit(end)
    assert seen == [(10, start), (20, end)]


def test_who_watches_does_not_hold_up_other_threads() -> None:
    """The watcher of the first event waits until another thread has emitted the second."""
    second_done = threading.Event()

    def watch(_at_ns: int, event: Event) -> None:
        if isinstance(event, TurnStarted):
            threading.Thread(target=emit_second).start()
            assert second_done.wait(5)

    recorder = Recorder(watch=watch)

    def emit_second() -> None:
        recorder.emit(Token("second"))
        second_done.set()

    recorder.emit(TurnStarted("Hello?"))
    assert second_done.is_set()


@pytest.mark.parametrize("end", [TurnFinished(), TurnFailed("broke", "engine", "tts")])
def test_a_turn_has_ended_with_its_terminal_event_and_not_before(end: Event) -> None:
    recorder = Recorder()
    assert not recorder.ended
    recorder.emit(TurnStarted("Hello?"))
    assert not recorder.ended
    recorder.emit(end)
    assert recorder.ended


def test_an_unfinished_turn_cannot_be_sealed() -> None:
    recorder = Recorder()
    recorder.emit(TurnStarted("Hello?"))
    with pytest.raises(IllegalEvent):
        recorder.seal(1, "measured", RULE)


def test_the_clock_is_the_monotonic_one_unless_told_otherwise() -> None:
    """A wall clock that steps would move every duration of a turn."""
    stamps: list[int] = []
    recorder = Recorder(watch=lambda at_ns, _event: stamps.append(at_ns))
    before = time.perf_counter_ns()
    recorder.emit(TurnStarted("Hello?"))
    after = time.perf_counter_ns()
    assert before <= stamps[0] <= after
    assert time.get_clock_info("perf_counter").monotonic


def test_the_wall_clock_is_a_label_in_utc() -> None:
    before = datetime.now(UTC)
    recorder = Recorder()
    recorder.emit(TurnStarted("Hello?"))
    recorder.emit(TurnFinished())
    label = datetime.fromisoformat(recorder.seal(1, "measured", RULE).timeline.started_at)
    assert label.utcoffset() is not None
    assert abs((label - before).total_seconds()) < 60
