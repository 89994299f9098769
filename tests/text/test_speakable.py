"""What is left of a text for a voice to say."""

from __future__ import annotations

import pytest

from voicebench.text.speakable import parts, speakable


@pytest.mark.parametrize(
    "text",
    ["", "   ", "🙂", "❤️", "👩‍👩‍👧", "—", "- - -", "...", "!?", "•", "“”", "\x00\x1b", "\ud800"],
)
def test_nothing_is_left_where_nothing_can_be_pronounced(text: str) -> None:
    assert speakable(text) == ""


@pytest.mark.parametrize("text", ["a", "5", "é", "$", "+", "100 %", "&", "你好", "x - y", "°"])
def test_what_has_a_sound_stays_as_it_is(text: str) -> None:
    assert speakable(text) == text


def test_emoji_are_left_out_of_a_sentence() -> None:
    assert speakable("Great! 😀👍🏽 See you ❤️.") == "Great!  See you ."


def test_control_characters_become_spaces() -> None:
    assert speakable("a\x00b\nc\x1b[0md") == "a b c [0md"


def test_parts_join_to_the_text_and_are_cut_after_sentences_or_words() -> None:
    text = "One two three. Four five six seven eight nine ten eleven twelve " * 20
    cut = list(parts(text, 100))
    assert "".join(cut) == text
    assert all(len(part) <= 100 and part[-1] in " ." for part in cut)


def test_a_text_without_a_space_is_cut_all_the_same() -> None:
    assert [len(part) for part in parts("a" * 250, 100)] == [100, 100, 50]
