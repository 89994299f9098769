"""A function as a target: who ends the turn, and events that come too late."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from voicebench.audio.pcm import AudibleRule
from voicebench.errors import IllegalEvent, UsageError
from voicebench.events import AudioChunk, Emit, Event, TurnFailed, TurnFinished, TurnStarted
from voicebench.targets.own_pipeline import FunctionTarget, as_target
from voicebench.turn.recorder import Recorder

TONE = (0.3 * np.sin(2 * np.pi * 220 * np.arange(8000) / 16_000)).astype(np.float32)


def emitted(target: FunctionTarget) -> list[Event]:
    events: list[Event] = []
    target.run("hello", events.append)
    return events


def speak(prompt: str, emit: Emit) -> None:
    emit(AudioChunk(TONE, 16_000))


def test_the_target_starts_and_ends_the_turn() -> None:
    kinds = [type(event) for event in emitted(FunctionTarget(speak))]
    assert kinds == [TurnStarted, AudioChunk, TurnFinished]


@pytest.mark.parametrize("end", [TurnFinished(), TurnFailed("gone", "engine", "tts")])
def test_a_function_may_end_the_turn_itself(end: TurnFinished | TurnFailed) -> None:
    def answer(prompt: str, emit: Emit) -> None:
        speak(prompt, emit)
        emit(end)

    assert emitted(FunctionTarget(answer))[2:] == [end]


def test_an_exception_after_the_end_is_kept_and_ends_nothing_twice() -> None:
    def answer(prompt: str, emit: Emit) -> None:
        emit(TurnFinished())
        raise ValueError("too late")

    target = FunctionTarget(answer)
    assert len(emitted(target)) == 2
    assert isinstance(target.exception, ValueError)


def test_an_exception_is_a_failure_in_one_line() -> None:
    def answer(prompt: str, emit: Emit) -> None:
        raise ValueError("first\nsecond")

    (_, failed) = emitted(FunctionTarget(answer))
    assert isinstance(failed, TurnFailed)
    assert failed.reason.startswith("ValueError: first")
    assert "\n" not in failed.reason


def test_sound_after_the_function_has_returned_stops_the_measurement() -> None:
    """Such a turn would look shorter, and its sound would be lost without a word."""
    go, stopped = threading.Event(), threading.Event()
    threads = []

    def answer(prompt: str, emit: Emit) -> None:
        def later() -> None:
            go.wait()
            try:
                speak(prompt, emit)
            except IllegalEvent:
                stopped.set()

        speak(prompt, emit)
        threads.append(threading.Thread(target=later))
        threads[-1].start()

    target, recorder = FunctionTarget(answer), Recorder()
    target.run("hello", recorder.emit)
    assert not recorder.seal(1, "measured", AudibleRule()).timeline.failed
    go.set()
    threads[0].join()
    assert stopped.is_set()
    for check in (target.check_over, lambda: target.run("again", recorder.emit)):
        with pytest.raises(IllegalEvent, match=r"AudioChunk after the function .* had returned"):
            check()


def test_a_class_is_no_target() -> None:
    with pytest.raises(UsageError, match="FunctionTarget is a class"):
        as_target(FunctionTarget)  # type: ignore[arg-type]
