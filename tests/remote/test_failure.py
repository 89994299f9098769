"""A peer's own words: found, bounded, and harmless to show."""

from __future__ import annotations

import copy

import pytest

from voicebench.quoting import MAX_QUOTE, quote
from voicebench.remote.failure import RemoteError, message_in


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"error": {"message": "no such model", "code": 404}}', "no such model"),
        ('{"error": "busy"}', "busy"),
        ('{"detail": [{"loc": ["body"], "msg": "field required"}]}', "field required"),
        ('{"message": "slow down"}', "slow down"),
        ("<html><head><title>502 Bad Gateway</title></head></html>", "502 Bad Gateway"),
        ("plain words", "plain words"),
        ('{"other": 1}', '{"other": 1}'),
        ('"just text"', "just text"),
        ("[" * 50_000, "[" * 50_000),
        ("", ""),
    ],
)
def test_the_message_is_found_in_every_usual_shape(body: str, message: str) -> None:
    assert message_in(body) == message


def test_a_quote_is_one_line_without_terminal_escapes() -> None:
    assert quote("a\x1b[31mred\nb\t\u202ec\x07") == "a [31mred b c"


def test_a_quote_is_bounded() -> None:
    assert len(quote("x" * 10_000)) == MAX_QUOTE + 1


def test_a_quote_hides_what_is_secret() -> None:
    assert quote("Incorrect key: sk-123.", "sk-123") == "Incorrect key: ***."
    assert quote("nothing secret", "") == "nothing secret"


def test_an_error_is_the_same_in_another_process() -> None:
    error = RemoteError("it failed", "try again", fault="timeout", stage="connect")
    other = copy.copy(error)
    assert (other.message, other.remedy) == ("it failed", "try again")
    assert (other.fault, other.stage) == ("timeout", "connect")
