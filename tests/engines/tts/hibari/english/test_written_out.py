"""What is read aloud of figures, times, dates, money, units and abbreviations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebench.engines.tts.hibari.english.written_out import written_out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("at 9:30 am", "at nine thirty A.M."),
        ("at 14:05.", "at fourteen oh five."),
        ("at 5:00 sharp", "at five o'clock sharp"),
        ("by 7 p.m. tonight", "by seven P.M. tonight"),
        ("on March 5th, 2024", "on March fifth, twenty twenty four"),
        ("on 5 March", "on the fifth of March"),
        ("due 2026-11-29", "due November twenty ninth, twenty twenty six"),
        ("on 10/12/2019", "on October twelfth, twenty nineteen"),
        ("costs $3.50", "costs three dollars and fifty cents"),
        ("costs $1.00", "costs one dollar"),
        ("for £1,250", "for one thousand two hundred fifty pounds"),
        ("a $2.5 billion deal", "a two point five billion dollars deal"),
        ("about 45%", "about forty five percent"),
        ("-5°C outside", "minus five degrees Celsius outside"),
        ("70 kg", "seventy kilograms"),
        ("1 mile, 1 km", "one mile, one kilometer"),
        ("at 60 mph", "at sixty miles per hour"),
        ("6 ft tall", "six feet tall"),
        ("call 555-0123.", "call five five five, zero one two three."),
        (
            "800-555-0199.",
            "eight zero zero, five five five, zero one nine nine.",
        ),
        ("pages 10-12", "pages ten to twelve"),
        ("1/2 cup", "one half cup"),
        ("2 3/4 cups", "two and three quarters cups"),
        ("in the 1960s", "in the nineteen sixties"),
        ("in 1998", "in nineteen ninety eight"),
        ("1998 items, 2,500 more", "nineteen ninety eight items, two thousand five hundred more"),
        ("the 21st", "the twenty first"),
        ("Henry VIII", "Henry the eighth"),
        ("Chapter IV", "Chapter four"),
        ("Dr. Smith of Main St. left", "Doctor Smith of Main Street left"),
        ("e.g. this", "for example this"),
        ("No. 7, no. 8", "number seven, number eight"),
        ("#7", "number seven"),
        ("bob@example.com", "bob at example dot com"),
        ("B2B", "B two B"),
        ("007", "zero zero seven"),
        ("3 + 4 = 7", "three plus four equals seven"),
        ("  a\n b ", "a b"),
        ("", ""),
    ],
)
def test_it_is_read_as_an_american_reads_it(text: str, words: str) -> None:
    assert written_out(text) == words


@given(st.text(alphabet=st.characters(max_codepoint=0x250), max_size=40))
def test_any_text_loses_its_ascii_digits_and_stays_one_line(text: str) -> None:
    words = written_out(text)
    assert not any(char.isascii() and char.isdigit() for char in words)
    assert words == " ".join(words.split())
