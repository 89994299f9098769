"""Server-Timing: one duration out of a header that may name several."""

from __future__ import annotations

import pytest

from voicebench.remote.formats.server_timing import parse_server_timing, server_duration_ms


def test_the_durations_are_read_by_name() -> None:
    assert parse_server_timing("llm;dur=12.5, tts;dur=80") == {"llm": 12.5, "tts": 80.0}


@pytest.mark.parametrize(
    ("header", "durations"),
    [
        ('db;desc="a, b; dur=9";dur=3', {"db": 3.0}),
        ("cache;desc=hit", {}),
        ("app ; DUR = 4 , APP;dur=9", {"app": 4.0}),
        ('app;dur="7.5"', {"app": 7.5}),
        ("a;dur=abc, b;dur=-1, c;dur=nan, d;dur=1e999", {}),
        (";dur=3, ,,", {}),
        ("", {}),
    ],
)
def test_what_is_no_duration_is_left_out(header: str, durations: dict[str, float]) -> None:
    assert parse_server_timing(header) == durations


def test_the_total_is_the_servers_duration() -> None:
    assert server_duration_ms({"Server-Timing": "model;dur=90, total;dur=80"}) == 80


def test_without_a_total_it_is_the_longest_for_entries_overlap() -> None:
    assert server_duration_ms({"server-timing": "queue;dur=5, model;dur=70"}) == 70


def test_openais_own_header_stands_in_where_there_is_no_other() -> None:
    assert server_duration_ms({"openai-processing-ms": "341"}) == 341
    assert server_duration_ms({"openai-processing-ms": "341", "server-timing": "a;dur=1"}) == 1


def test_no_duration_is_none_and_not_zero() -> None:
    assert server_duration_ms({"content-type": "audio/wav"}) is None
    assert server_duration_ms({"server-timing": "cache;desc=hit"}) is None


def test_a_header_of_many_entries_is_read_to_a_bound() -> None:
    assert len(parse_server_timing(",".join(f"a{i};dur=1" for i in range(500)))) == 50
