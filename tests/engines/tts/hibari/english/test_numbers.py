"""Numbers in words, as an American reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebench.engines.tts.hibari.english import numbers


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (40, "forty"),
        (99, "ninety nine"),
        (100, "one hundred"),
        (712, "seven hundred twelve"),
        (1_000_000, "one million"),
        (20_305, "twenty thousand three hundred five"),
    ],
)
def test_cardinals(number: int, words: str) -> None:
    assert numbers.cardinal(number) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1, "first"),
        (12, "twelfth"),
        (20, "twentieth"),
        (23, "twenty third"),
        (100, "one hundredth"),
    ],
)
def test_ordinals(number: int, words: str) -> None:
    assert numbers.ordinal(number) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1905, "nineteen oh five"),
        (1900, "nineteen hundred"),
        (2001, "two thousand one"),
        (2026, "twenty twenty six"),
        (476, "four hundred seventy six"),
    ],
)
def test_years(number: int, words: str) -> None:
    assert numbers.year(number) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("3.14", "three point one four"),
        ("1,250", "one thousand two hundred fifty"),
        (".5", "zero point five"),
        ("1" * 30, " ".join(["one"] * 30)),
    ],
)
def test_decimals(text: str, words: str) -> None:
    assert numbers.decimal(text) == words


@given(st.integers(0, 10**24))
def test_a_number_of_any_size_has_words_and_no_digits(number: int) -> None:
    words = numbers.cardinal(number)
    assert words.replace(" ", "").isalpha()
    assert "  " not in words
