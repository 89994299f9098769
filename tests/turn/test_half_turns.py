"""A turn of one engine alone: a reply that is only read, a text that is only spoken."""

from __future__ import annotations

import pytest
from scripted_engines import Scripted, sound, words

from voicebench.errors import EngineError
from voicebench.events import (
    AudioChunk,
    Event,
    Stage,
    TextChunk,
    Token,
    TurnFailed,
    TurnFinished,
    TurnStarted,
    Usage,
)
from voicebench.pipeline.pipeline import speak_turn, write_turn
from voicebench.pipeline.scheduling import FreeForAll, TurnTaking


class Noting(FreeForAll):
    """A schedule that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def text_out(self) -> None:
        self.told.append("text out")

    def audio_out(self, seconds: float) -> None:
        self.told.append(f"{seconds} s out")

    def give_way(self) -> None:
        self.told.append("way given")


def test_a_reply_in_text_is_one_turn_without_sound() -> None:
    events: list[Event] = []
    schedule = Noting()
    llm = Scripted([*words("One two"), Usage(2)])
    write_turn("hello", events.append, llm=llm, schedule=schedule)
    assert events == [
        TurnStarted("hello"),
        Token("One"),
        Token(" two"),
        Usage(2),
        TurnFinished(),
    ]
    assert schedule.told == ["text out", "text out", "way given"]
    assert llm.unfinished == 0


def test_the_speech_of_a_text_is_one_turn_of_one_chunk() -> None:
    events: list[Event] = []
    schedule = Noting()
    voice = Scripted([sound(100), sound(50)])
    speak_turn("Hello there.", events.append, tts=voice, schedule=schedule)
    kinds = [TurnStarted, TextChunk, AudioChunk, AudioChunk, TurnFinished]
    assert [type(event) for event in events] == kinds
    assert schedule.told == ["0.1 s out", "0.05 s out", "way given"]


@pytest.mark.parametrize("stage", ["llm", "tts"])
def test_an_engine_that_fails_ends_the_turn_as_failed(stage: Stage) -> None:
    events: list[Event] = []
    broken = Scripted([EngineError("it broke")])
    if stage == "llm":
        write_turn("hello", events.append, llm=broken)
    else:
        speak_turn("hello", events.append, tts=broken)
    assert events[-1] == TurnFailed("it broke", "engine", stage)


def test_a_defect_ends_the_turn_and_goes_on() -> None:
    events: list[Event] = []
    with pytest.raises(ZeroDivisionError):
        write_turn("hello", events.append, llm=Scripted([ZeroDivisionError()]))
    assert isinstance(events[-1], TurnFailed)


def test_who_emits_into_the_void_closes_the_engine() -> None:
    class Gone(BaseException):
        pass

    def emit(event: Event) -> None:
        if isinstance(event, AudioChunk):
            raise Gone

    voice = Scripted([sound(), sound()])
    with pytest.raises(Gone):
        speak_turn("hello", emit, tts=voice, schedule=TurnTaking())
    assert voice.unfinished == 0
