"""The cascade: two engines joined as one target, anew for each turn."""

from __future__ import annotations

from scripted_engines import Scripted, sound, words

from voicebench.audio.pcm import AudibleRule
from voicebench.events import TextChunk, Token, TurnFinished
from voicebench.pipeline.scheduling import BUFFER_S, FreeForAll
from voicebench.targets.cascade import Cascade, listening_buffer_s
from voicebench.turn.recorder import Recorder
from voicebench.turn.timeline import Timeline

REPLY = "It is noon. The sun stands high above the quiet town."


def take_turn(target: Cascade) -> Timeline:
    recorder = Recorder()
    target.run("What time is it?", recorder.emit)
    return recorder.seal(1, "measured", AudibleRule()).timeline


def test_who_knows_the_pace_of_a_voice_keeps_as_much_in_hand_as_it_needs() -> None:
    class Paced(Scripted):
        longest_step_s = 0.05

    assert listening_buffer_s(Paced(name="voice")) == 0.4
    assert listening_buffer_s(Scripted(name="voice")) == BUFFER_S


def voice(chunks: int) -> Scripted:
    return Scripted(*([sound()] for _ in range(chunks)), name="voice")


def test_a_turn_goes_from_the_prompt_to_sound() -> None:
    llm, tts = Scripted(words(REPLY)), voice(2)
    turn = take_turn(Cascade(llm, tts, first_words=3, later_words=8))
    assert llm.heard == ["What time is it?"]
    assert tts.heard == ["It is noon. ", "The sun stands high above the quiet town."]
    assert turn.reply == REPLY
    assert not turn.failed


def test_the_sizes_of_the_chunks_are_the_callers() -> None:
    tts = voice(6)
    take_turn(Cascade(Scripted(words(REPLY)), tts, first_words=1, later_words=2))
    assert tts.heard == [
        "It ",
        "is noon. ",
        "The sun ",
        "stands high ",
        "above the ",
        "quiet town.",
    ]


def test_every_turn_begins_with_a_short_chunk_again() -> None:
    llm, tts = Scripted(words(REPLY), words(REPLY)), voice(4)
    target = Cascade(llm, tts, first_words=3, later_words=8)
    assert take_turn(target).chunks[0].text == "It is noon. "
    assert take_turn(target).chunks[0].text == "It is noon. "


def test_every_turn_has_an_order_of_work_of_its_own() -> None:
    made: list[FreeForAll] = []

    def new_schedule() -> FreeForAll:
        made.append(FreeForAll())
        return made[-1]

    llm, tts = Scripted(words("Noon."), words("Noon.")), voice(2)
    target = Cascade(llm, tts, first_words=3, later_words=8, new_schedule=new_schedule)
    take_turn(target)
    take_turn(target)
    assert len(made) == 2


def test_sequential_speaks_when_the_reply_is_complete() -> None:
    kinds: list[type] = []
    target = Cascade(
        Scripted(words(REPLY)), voice(2), first_words=3, later_words=8, sequential=True
    )
    target.run("What time is it?", lambda event: kinds.append(type(event)))
    assert kinds.index(TextChunk) == 1 + kinds.count(Token)
    assert kinds[-1] is TurnFinished


def test_it_says_which_engines_it_joins_and_how() -> None:
    target = Cascade(
        Scripted(name="model"), voice(0), first_words=2, later_words=6, sequential=True
    )
    assert target.describe() == {
        "target": "cascade",
        "llm": {"engine": "model"},
        "tts": {"engine": "voice"},
        "first_words": 2,
        "later_words": 6,
        "sequential": True,
    }


def test_closing_it_closes_both_engines() -> None:
    llm, tts = Scripted(), voice(0)
    Cascade(llm, tts, first_words=3, later_words=8).close()
    assert llm.closed
    assert tts.closed
