from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebench import format as form
from voicebench.figures.metrics import METRICS


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0.0"),
        (0.04, "0.0"),
        (-0.04, "0.0"),
        (71.44, "71.4"),
        (99.94, "99.9"),
        (99.96, "100"),
        (100.0, "100"),
        (252.4, "252"),
        (12345.6, "12346"),
        (-3.25, "-3.2"),
        (-252.0, "-252"),
    ],
)
def test_milliseconds_have_no_decimals_from_100_up_and_one_below(
    value: float | None, text: str
) -> None:
    assert form.ms(value) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (252.0, "ms", "252 ms"),
        (4.25, "s", "4.2 s"),
        (120.4, "s", "120 s"),
        (0.834, "x", "0.83×"),
        (9.996, "x", "10.0×"),
        (12.34, "x", "12.3×"),
        (83.33, "per_s", "83.3/s"),
        (8.0, "count", "8"),
        (14.25, "count", "14.2"),
        (0.375, "share", "37.5 %"),
        (1.0, "share", "100 %"),
        (0.0, "share", "0 %"),
        (1.0, "bool", "100 %"),
        (None, "x", "–"),
    ],
)
def test_a_quantity_has_its_unit(value: float | None, unit: str, text: str) -> None:
    assert form.quantity(value, unit) == text


def test_every_unit_of_the_metrics_can_be_written() -> None:
    for metric in METRICS:
        assert form.quantity(1.0, metric.unit).startswith("1")


@pytest.mark.parametrize(
    ("value", "limit", "text"),
    [
        (252.0, 300.0, "252"),
        (300.0, 300.0, "300"),
        (300.2, 300.0, "300.2"),
        (299.96, 300.0, "299.96"),
        (299.9996, 300.0, "300.000"),
        (99.97, 100.0, "99.97"),
        (None, 300.0, "–"),
    ],
)
def test_a_value_beside_its_limit_never_looks_like_the_limit(
    value: float | None, limit: float, text: str
) -> None:
    assert form.beside(value, limit, "ms") == text


@pytest.mark.parametrize(
    ("limit", "unit", "text"),
    [
        (300.0, "ms", "300 ms"),
        (3.0, "ms", "3 ms"),
        (2.5, "ms", "2.5 ms"),
        (0.9, "share", "90 %"),
        (0.0, "share", "0 %"),
        (0.999, "share", "99.9 %"),
        (1.0, "x", "1×"),
        (20.0, "count", "20"),
    ],
)
def test_a_limit_is_written_as_short_as_people_chose_it(limit: float, unit: str, text: str) -> None:
    assert form.limit(limit, unit) == text


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        (100.0, 112.4, "+12 %"),
        (361.0, 214.0, "-41 %"),
        (200.0, 200.4, "+0 %"),
        (200.0, 199.6, "+0 %"),
        (0.0, 0.05, "–"),
        (0.0, 0.0, "+0 %"),
        (-10.0, -5.0, "+50 %"),
    ],
)
def test_a_change_is_signed_percent_of_what_was(before: float, after: float, text: str) -> None:
    assert form.change(before, after) == text


def test_an_escape_sequence_of_a_model_does_not_reach_the_terminal() -> None:
    assert form.one_line("\x1b[2Jboo\x07\x9b31m") == "�[2Jboo��31m"


def test_a_text_of_several_lines_becomes_one() -> None:
    assert form.one_line("  a\r\n\tb\u2028c ") == "a b c"


def test_characters_that_turn_the_writing_round_are_left_out() -> None:
    assert form.one_line("abc\u202edef\u2066") == "abcdef"


def test_letters_of_all_scripts_and_emoji_stay() -> None:
    text = "ça va ? 你好 नमस्ते 😀"
    assert form.one_line(text) == text


@given(st.text())
def test_one_line_is_always_printable(text: str) -> None:
    assert form.one_line(text).isprintable()


@pytest.mark.parametrize(("count", "text"), [(0, "0 turns"), (1, "1 turn"), (2, "2 turns")])
def test_a_count_takes_its_plural(count: int, text: str) -> None:
    assert form.plural(count, "turn") == text
