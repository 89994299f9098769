"""What the chunker knows of words, marks and characters."""

from __future__ import annotations

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from voicebench.text import orthography


@pytest.mark.parametrize("char", [" ", "\t", "\n", "\r", "\u3000", "\u2009"])
def test_a_word_ends_at_a_space(char: str) -> None:
    assert orthography.is_space(char)


@pytest.mark.parametrize("char", ["\u00a0", "\u202f", "\u2007", "a", "-", "\u200b"])
def test_a_no_break_space_is_inside_its_word(char: str) -> None:
    assert not orthography.is_space(char)


@pytest.mark.parametrize(
    ("token", "word"),
    [("Dr.", "dr"), ("(e.g.", "e.g"), ("**U.S.**", "u.s"), ("“Etc.”", "etc"), ("...", "..")],
)
def test_a_token_is_looked_up_without_what_stands_around_it(token: str, word: str) -> None:
    assert orthography.word_in(token) == word


@pytest.mark.parametrize("word", ["dr", "mme", "u.s", "p.m", "e.g", "ph.d", "j.-c", "j", "etc"])
def test_a_period_behind_a_short_form_ends_no_sentence(word: str) -> None:
    assert orthography.is_short_form(word)


@pytest.mark.parametrize("word", ["paris", "no", "42", "3.14", "example.com", "好", "", ".."])
def test_a_period_behind_any_other_word_does(word: str) -> None:
    assert not orthography.is_short_form(word)


@pytest.mark.parametrize(
    ("token", "char"),
    [("Dr.", "S"), ("Mme", "D"), ("J.", "R"), ("e.g.", "a"), ("100", "0"), ("fig.", "3")],
)
def test_words_that_belong_together_are_bound(token: str, char: str) -> None:
    assert orthography.is_bound_to(token, char)


@pytest.mark.parametrize(
    ("token", "char"), [("word", "n"), ("etc.", "a"), ("100", "p"), ("fig.", "a"), ("I", "a")]
)
def test_other_words_are_not_bound(token: str, char: str) -> None:
    assert not orthography.is_bound_to(token, char)


@pytest.mark.parametrize("char", "你々あアｱー〇")
def test_chinese_and_japanese_are_written_without_spaces(char: str) -> None:
    assert orthography.is_unspaced(char)


@pytest.mark.parametrize("char", "aé1。「한ไ😊")
def test_other_scripts_and_marks_are_not(char: str) -> None:
    assert not orthography.is_unspaced(char)


CHARACTERS = st.sampled_from(
    "ae1 .好か한다각\u1112\u1161\u11ab😊👍🏽\u200d\ufe0f\u0301\u20e3कि\u094dष"
)


@given(CHARACTERS, CHARACTERS)
def test_a_seam_is_a_seam_by_the_unicode_standard(last: str, char: str) -> None:
    """`is_one_character` may hold together more than the standard does, never less."""
    if len(regex.findall(r"\X", last + char)) == 1:
        assert orthography.is_one_character(last, char)


@pytest.mark.parametrize(("last", "char"), [("a", "b"), ("한", "국"), ("😊", "😊"), ("é", "t")])
def test_letters_and_emoji_of_their_own_are_apart(last: str, char: str) -> None:
    assert not orthography.is_one_character(last, char)
