"""Messages of a WebSocket: those that come alone in a read are the ones that the protocol finds."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from voicebench.remote.connection import socket_messages
from voicebench.remote.connection.access import Access
from voicebench.remote.connection.peer import Peer
from voicebench.remote.connection.socket_messages import SocketMessages
from voicebench.remote.failure import RemoteError

SIZES = (0, 1, 125, 126, 1920, 65_530, 65_536, 70_000)


def frame(opcode: Opcode, content: bytes, *, fin: bool = True) -> bytes:
    return Frame(opcode, content, fin).serialize(mask=False)


def new_messages() -> SocketMessages:
    protocol = ClientProtocol(parse_uri("ws://127.0.0.1/"), state=OPEN)
    return SocketMessages(protocol, Peer("ws://127.0.0.1/", Access(), "turn"), b"")


def taken(reads: list[bytes]) -> list[object]:
    """Return what comes out, the last thing being how it ended."""
    messages, found = new_messages(), []
    for data in reads:
        messages.feed(data)
        try:
            found += [*messages.whole(), messages.begun]
        except RemoteError as error:
            return [*found, str(error)]
    return [*found, messages.is_open]


FRAMES = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([Opcode.TEXT, Opcode.BINARY]), st.sampled_from(SIZES)),
        st.tuples(st.sampled_from([Opcode.PING, Opcode.CONT]), st.sampled_from([0, 4, 125])),
    ),
    max_size=5,
)


@given(FRAMES, st.lists(st.booleans(), min_size=5, max_size=5), st.lists(st.integers(0, 80_000)))
def test_the_same_messages_come_as_by_the_protocol_alone(
    frames: list[tuple[Opcode, int]], fins: list[bool], cuts: list[int]
) -> None:
    raws = [
        frame(opcode, b"a" * size, fin=fin or opcode is Opcode.PING)
        for (opcode, size), fin in zip(frames, fins, strict=False)
    ]
    stream = b"".join(raws)
    ends = [sum(map(len, raws[:number])) for number in range(len(raws) + 1)]
    for places in (ends, sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})):
        reads = [stream[begin:end] for begin, end in pairwise(places) if begin < end]
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(socket_messages, "MOST_ALONE_BYTES", 0)
            by_protocol = taken(reads)
        assert taken(reads) == by_protocol


def test_messages_that_nobody_asked_for_yet_keep_their_order() -> None:
    messages = new_messages()
    messages.feed(frame(Opcode.TEXT, b"one"))
    messages.feed(frame(Opcode.TEXT, b"two"))
    messages.feed(frame(Opcode.BINARY, b"three"))
    assert list(messages.whole()) == ["one", "two", b"three"]
    messages.feed(frame(Opcode.TEXT, b"four"))
    assert list(messages.whole()) == ["four"]


def test_text_that_is_not_utf_8_is_an_error_also_alone() -> None:
    messages = new_messages()
    messages.feed(frame(Opcode.TEXT, b"\xff"))
    with pytest.raises(RemoteError, match="not UTF-8"):
        list(messages.whole())
