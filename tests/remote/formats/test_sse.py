"""Server-sent events: given out at the line end that completes them, however the bytes are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebench.remote.failure import RemoteError
from voicebench.remote.formats import sse
from voicebench.remote.formats.sse import EventStream, ServerSentEvent


def events(*reads: bytes) -> list[ServerSentEvent]:
    stream = EventStream()
    return [event for read in reads for event in stream.feed(read)]


def texts(*reads: bytes) -> list[str]:
    return [event.data for event in events(*reads)]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_each_of_the_three_line_ends_ends_a_line(end: bytes) -> None:
    assert texts(b"data: one" + end + end + b"data: two" + end + end) == ["one", "two"]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_an_event_is_given_out_with_the_very_byte_that_completes_it(end: bytes) -> None:
    stream = EventStream()
    body = b"data: now" + end + end
    given = [len(list(stream.feed(body[at : at + 1]))) for at in range(len(body))]
    # With CRLF the CR of the blank line is enough: waiting for the LF could be waiting for ever.
    completing = len(body) - len(end)
    assert given == [int(at == completing) for at in range(len(body))]


BODY = (
    "\ufeff: a comment\r\nevent: speech\r\ndata: été 🕰\r\n\r\n"
    "data:no space\ndata:  two spaces\nid: 4\n\nretry: 10\n\r: x\rdata\r\rdata: [DONE]\n\n"
).encode()


@given(st.lists(st.integers(0, len(BODY)), max_size=12))
def test_where_the_reads_cut_changes_nothing(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(BODY)]
    pieces = [BODY[start:end] for start, end in pairwise(edges)]
    assert events(*pieces) == [
        ServerSentEvent("speech", "été 🕰"),
        ServerSentEvent("", "no space\n two spaces"),
        ServerSentEvent("", ""),
        ServerSentEvent("", "[DONE]"),
    ]


def test_what_the_end_of_the_stream_leaves_incomplete_is_no_event() -> None:
    assert texts(b"data: whole\n\ndata: half\n") == ["whole"]


def test_what_is_no_line_of_an_event_is_kept_to_be_shown() -> None:
    stream = EventStream()
    assert list(stream.feed(b'<h1>\nGone</h1>\n: a comment\nid: 3\ndata: x\n\n{"error":')) == [
        ServerSentEvent("", "x")
    ]
    assert stream.stray == '<h1>\nGone</h1>\n{"error":'
    assert len(events(b"x" * 3000 + b"\n")) == 0


def test_a_letter_cut_by_two_events_is_an_error_that_shows_the_bytes() -> None:
    first, second = "é".encode()[:1], "é".encode()[1:]
    with pytest.raises(RemoteError, match="not UTF-8") as caught:
        events(b"data: caf" + first + b"\n\ndata: " + second + b"\n\n")
    assert caught.value.fault == "protocol"


@pytest.mark.parametrize("body", [b"data: " + b"x" * 300, b"data: " + b"x" * 90 + b"\n"])
def test_a_line_or_an_event_without_end_is_refused(
    body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 200)
    with pytest.raises(RemoteError, match="more than 200 bytes"):
        events(body, body, body)
