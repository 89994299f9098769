"""The one place through which words from outside go: nothing in them is obeyed."""

from __future__ import annotations

import json
import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebench.quoting import MAX_QUOTE, as_json, neutral, one_line, quote
from voicebench.secrecy import Secrets

ANY_TEXT = st.text(st.characters(exclude_categories=[]))
TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@given(ANY_TEXT)
def test_a_quote_is_one_line_that_prints(text: str) -> None:
    quoted = quote(text)
    assert not any(unicodedata.category(character).startswith("C") for character in quoted)
    assert "\n" not in quoted
    assert len(quoted) <= MAX_QUOTE + 1


def test_a_key_is_taken_out_before_the_quote_is_cut() -> None:
    key = "Kx7-9qLmZ0pT4"
    for before in range(MAX_QUOTE - 20, MAX_QUOTE + 5):
        assert not re.search("Kx7-9qLm|9qLmZ0pT", quote("x" * before + key, Secrets([key])))


def test_a_very_long_text_is_quoted_in_no_time() -> None:
    assert len(quote("x" * 50_000_000, Secrets(["Kx7-9qLmZ0pT4"]))) == MAX_QUOTE + 1


@given(ANY_TEXT)
def test_a_neutral_text_holds_nothing_that_is_obeyed(text: str) -> None:
    plain = neutral(text)
    assert not set(plain) & set(TURNING)
    assert all(
        character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cs")
        for character in plain
    )
    plain.encode("utf-8")


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters=TURNING)))
def test_a_text_that_holds_no_such_thing_stays_as_it_is(text: str) -> None:
    assert neutral(f"{text}\n\t{text}") == f"{text}\n\t{text}"


@pytest.mark.slow
def test_every_character_that_does_not_print_is_an_escape_in_json() -> None:
    odd = [
        character
        for character in map(chr, range(sys.maxunicode + 1))
        if not character.isprintable() and unicodedata.category(character) != "Zs"
    ]
    written = as_json({"odd": odd})
    assert all(character.isprintable() for character in written)
    assert json.loads(written)["odd"] == odd


@pytest.mark.slow
@pytest.mark.parametrize("indent", [None, 2])
@given(st.recursive(ANY_TEXT | st.none() | st.integers(), st.lists))
def test_json_gives_back_every_text(indent: int | None, document: object) -> None:
    assert json.loads(as_json(document, indent=indent)) == document


def test_json_stays_readable() -> None:
    assert as_json({"réponse": "日本 😀\u00a0!"}) == '{"réponse":"日本 😀\u00a0!"}'


def test_one_line_is_what_tables_are_made_of() -> None:
    assert one_line("a\x1b[2J\n\tb\u202e") == "a�[2J b"
