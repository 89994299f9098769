"""Audio validity: what is flagged, what is let through, and how text is weighed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from drawn_turns import RATE, drawn_turn, failed_turn

from voicebench.audio.hearing import Hearing
from voicebench.judging.digest import digest_of
from voicebench.judging.validity import audio_faults, spoken_characters
from voicebench.turn.timeline import Sound, TimedText, Timeline

SENTENCE = "The weather will stay clear and mild."  # 30 letters


def spoken(text: str = SENTENCE, seconds: float = 2.0, sound: Sound | None = None) -> Timeline:
    turn = drawn_turn(audio=[(100, round(seconds * RATE))])
    return replace(turn, chunks=(TimedText(1, text),), sound=sound or turn.sound)


def test_plain_speech_has_no_fault() -> None:
    assert audio_faults(spoken()) == []


@pytest.mark.parametrize(
    ("seconds", "fault"),
    [
        (0.7, "too short for its text: 43 characters a second"),
        (0.8, None),
        (9.9, None),
        (10.5, "too long for its text: 2.9 characters a second"),
    ],
)
def test_the_length_has_to_fit_the_text(seconds: float, fault: str | None) -> None:
    assert audio_faults(spoken(seconds=seconds)) == ([fault] if fault else [])


def test_leading_silence_is_no_speech() -> None:
    sound = Sound(RATE, 1400, 0.5, 0.1, 0)
    assert "too short" in audio_faults(spoken(seconds=2.0, sound=sound))[0]


def test_a_short_text_says_too_little() -> None:
    assert audio_faults(spoken("Yes, sure.", seconds=9)) == []


def test_clipping_is_flagged_above_one_sample_in_a_thousand() -> None:
    assert audio_faults(spoken(sound=Sound(RATE, 0, 1.0, 0.3, 2))) == []
    [fault] = audio_faults(spoken(sound=Sound(RATE, 0, 1.0, 0.3, 30)))
    assert fault == "1.5 % of its samples are clipped"


def test_clicks_are_flagged_and_older_results_have_none() -> None:
    clicking = Sound(RATE, 0, 0.5, 0.1, 0, seam_clicks=2)
    assert audio_faults(spoken(sound=clicking)) == ["the signal jumps at 2 of its seams"]
    assert audio_faults(spoken(sound=replace(clicking, seam_clicks=None))) == []


def test_samples_that_come_twice_are_flagged() -> None:
    twice = Sound(RATE, 0, 0.5, 0.1, 0, hearing=Hearing(audible_s=1.0, doubled=True))
    [fault] = audio_faults(spoken(sound=twice))
    assert fault == "each of its samples comes twice, as if two channels were read as one"
    assert audio_faults(spoken(sound=replace(twice, hearing=Hearing(audible_s=1.0)))) == []


def test_a_failed_turn_has_failed_and_that_is_all() -> None:
    assert audio_faults(failed_turn()) == []


def test_only_measured_turns_are_flagged() -> None:
    bad = replace(spoken(seconds=0.5), turn=7)
    [flag] = digest_of([replace(bad, phase="warmup"), bad]).flags
    assert str(flag).startswith("run 1: too short")


def test_without_chunks_the_reply_is_the_text() -> None:
    turn = replace(spoken(seconds=0.5), chunks=(), tokens=(TimedText(1, SENTENCE),))
    assert "too short" in audio_faults(turn)[0]


@pytest.mark.parametrize(
    ("text", "weight"), [("Hello, you!", 8), ("7 x", 5), ("天気は", 9), ("🙂 — …", 0), ("été", 3)]
)
def test_characters_weigh_what_they_take_to_say(text: str, weight: int) -> None:
    assert spoken_characters(text) == weight
