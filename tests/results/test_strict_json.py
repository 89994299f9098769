"""JSON of a file: whatever it holds, reading it gives plain values or `ValueError`."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebench.results.strict_json import MOST_DEPTH, parse_json

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)  # fmt: skip


@given(PLAIN)
def test_what_was_written_is_read(value: object) -> None:
    assert parse_json(json.dumps(value)) == value
    assert parse_json(json.dumps(value).encode()) == value


@given(st.text(alphabet='{}[]",:0123456789eE+-.NaInfty\\u ', max_size=60))
def test_any_text_is_a_value_or_an_error(text: str) -> None:
    try:
        value = parse_json(text)
    except ValueError:
        return
    json.dumps(value, allow_nan=False)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 100_000 + "]" * 100_000, "nested too deep"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "nested too deep"),
        ("[" * (MOST_DEPTH + 1) + "]" * (MOST_DEPTH + 1), "nested too deep"),
        ("NaN", "NaN is not a number"),
        ("[-Infinity]", "-Infinity is not a number"),
        ("1e999", "1e999 is too large a number"),
        ("1" + "0" * 399, "too large a number"),
        ("1" * 10_000, "too large a number"),
    ],
)
def test_what_would_break_a_reader_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_json(text)


def test_what_voicebench_writes_is_never_too_deep() -> None:
    assert parse_json("[" * MOST_DEPTH + "]" * MOST_DEPTH)
