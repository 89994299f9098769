"""When a streamed reply is whole: what its server says of the end, and what belies it."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Sequence

import pytest
from chat_server import DONE, STOP, chat, delta, events_of, failure_of, sse, streams, texts
from loopback import LONGEST_S, Peer, Script

from voicebench.events import Remark, Token
from voicebench.remote.clients import openai_reply
from voicebench.remote.connection.timeouts import Timeouts
from voicebench.remote.failure import RemoteError

WORDS = [f" word{number}" for number in range(22)]


def ends(content: str | None, reason: str | None = "stop", **more: object) -> dict[str, object]:
    """Return a chunk with ``content`` that says that the reply is over."""
    text = {} if content is None else {"content": content}
    return {"choices": [{"index": 0, "delta": text, "finish_reason": reason}], **more}


def paced(*chunks: bytes, gap_s: float = 0.04, last: bytes = DONE) -> Script:
    """Return the script of a server that pauses between its chunks."""

    def script(peer: Peer) -> None:
        while True:
            peer.request()
            peer.head(content_type="text/event-stream", transfer_encoding="chunked")
            for chunk in chunks:
                peer.chunk(chunk)
                time.sleep(gap_s)
            peer.chunk(last)
            peer.chunk(b"")

    return script


def kinds(events: Sequence[object]) -> list[str]:
    return [event.kind for event in events if isinstance(event, Remark)]


# An end that later text disproves is none.


@pytest.mark.parametrize("gap_s", [0.04, 0.12])
def test_an_end_in_every_chunk_ends_the_reply_with_the_last_one(gap_s: float) -> None:
    words = WORDS if gap_s < 0.1 else WORDS[:4]
    events = events_of(paced(*(sse(ends(word)) for word in words), gap_s=gap_s))
    assert texts(events) == words
    assert kinds(events) == ["false end"]


def test_an_end_in_every_chunk_from_the_first_empty_one_on_ends_nothing() -> None:
    role = {"choices": [{"delta": {"role": "assistant", "content": ""}, "finish_reason": "stop"}]}
    events = events_of(paced(sse(role), *(sse(ends(word)) for word in WORDS[:3]), gap_s=0.12))
    assert texts(events) == WORDS[:3]


def test_an_end_of_its_own_after_every_word_ends_nothing() -> None:
    chunks = [sse(chunk) for word in WORDS for chunk in (delta(content=word), STOP)]
    assert texts(events_of(paced(*chunks, gap_s=0.02))) == WORDS


def read_until_it_breaks(*chunks: bytes, words: int) -> list[str]:
    """Read a reply whose connection is reset once the client has ``words`` tokens."""

    def breaks(peer: Peer) -> None:
        peer.request()
        peer.head(content_type="text/event-stream", transfer_encoding="chunked")
        for chunk in chunks:
            peer.chunk(chunk)
        assert taken.wait(LONGEST_S)
        peer.reset()

    taken, found = threading.Event(), []
    with chat(breaks) as (model, _):
        for event in model.reply("x"):
            found += [event.text] if isinstance(event, Token) else []
            if len(found) == words:
                taken.set()
    return found


def test_an_end_that_was_disproved_does_not_make_a_broken_stream_whole() -> None:
    with pytest.raises(RemoteError, match="closed the connection early"):
        read_until_it_breaks(*(sse(ends(word)) for word in WORDS[:5]), words=5)


def test_an_end_that_was_disproved_does_not_make_a_stream_that_stalls_whole() -> None:
    def stalls(peer: Peer) -> None:
        peer.request()
        peer.head(content_type="text/event-stream", transfer_encoding="chunked")
        for word in WORDS[:5]:
            peer.chunk(sse(ends(word)))
        peer.wait_for_hangup()

    failure = failure_of(stalls, timeouts=Timeouts(between_bytes_s=0.3))
    assert failure.fault == "timeout"


def test_a_connection_that_breaks_after_text_with_an_end_does_not_make_the_reply_whole() -> None:
    with pytest.raises(RemoteError, match="closed the connection early"):
        read_until_it_breaks(sse(ends("It")), words=1)


def test_text_with_an_end_that_is_followed_by_silence_is_the_reply(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(openai_reply, "END_BESIDE_TEXT_S", 0.3)

    def stays(peer: Peer) -> None:
        peer.request()
        peer.head(content_type="text/event-stream", transfer_encoding="chunked")
        peer.chunk(sse(delta(content="It is"), ends(" late.")))
        peer.wait_for_hangup()

    events = events_of(stays)
    assert texts(events) == ["It is", " late."]
    assert kinds(events) == ["open end"]


def test_an_end_beside_the_first_text_is_not_believed_after_a_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(openai_reply, "END_S", 0.05)
    monkeypatch.setattr(openai_reply, "END_BESIDE_TEXT_S", 0.05)
    events = events_of(paced(*(sse(ends(word)) for word in WORDS[:3]), gap_s=0.4))
    assert texts(events) == WORDS[:3]


def test_usage_confirms_an_end_that_came_with_text() -> None:
    usage = {"choices": [], "usage": {"completion_tokens": 2}}
    body = sse(delta(content="It is"), ends(" late."), usage)
    assert read_until_it_breaks(body, words=2) == ["It is", " late."]


# What comes after [DONE] is looked at when the turn is over.


def late(*after: bytes) -> tuple[Script, threading.Event]:
    """Return a server that goes on after ``[DONE]``, once it is told to."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.head(content_type="text/event-stream", transfer_encoding="chunked")
        peer.chunk(sse(delta(content="It"), STOP) + DONE)
        assert goes_on.wait(LONGEST_S)
        for chunk in after:
            peer.chunk(chunk)
        peer.chunk(b"")

    goes_on = threading.Event()
    return script, goes_on


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ([sse(delta(content=" is late."), STOP)], "went on after it had said .* 'is late.'"),
        ([sse({"error": "out of memory"})], "out of memory"),
        ([b"event: error\ndata:\n\n"], "without a word"),
    ],
)
def test_what_belies_the_end_afterwards_fails_the_turn(after: list[bytes], said: str) -> None:
    script, goes_on = late(*after)
    with chat(script) as (model, _):
        assert texts(list(model.reply("x"))) == ["It"]
        goes_on.set()
        with pytest.raises(RemoteError, match=said) as caught:
            model.look_back()
        assert "127.0.0.1" in str(caught.value)


@pytest.mark.parametrize(
    "after", [[], [DONE], [sse({"choices": [], "usage": {"completion_tokens": 1}}), b"data:\n\n"]]
)
def test_what_does_not_belie_the_end_keeps_the_connection(after: list[bytes]) -> None:
    script, goes_on = late(*after)
    with chat(script) as (model, server):
        list(model.reply("x"))
        goes_on.set()
        model.look_back()
        model.look_back()
        assert server.connections == 1


def test_an_error_after_done_in_the_same_read_is_a_failure() -> None:
    body = sse(delta(content="It"), STOP) + DONE + sse({"error": {"message": "out of memory"}})
    assert "out of memory" in str(failure_of(streams(body)))


# Which words end a reply.


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls", "function_call", "STOP"])
def test_the_protocols_reasons_end_a_reply(reason: str) -> None:
    script = streams(sse(delta(content="It"), ends(None, reason)), DONE)
    assert texts(events_of(script)) == ["It"]


@pytest.mark.parametrize("between", [None, "", "eos", "COMPLETE", 3, {}])
def test_a_reason_that_is_none_of_the_protocols_ends_nothing(between: object) -> None:
    chunks = [sse(ends(word, between)) for word in WORDS[:3]]  # type: ignore[arg-type]
    assert texts(events_of(paced(*chunks, sse(STOP), gap_s=0.12))) == WORDS[:3]


@pytest.mark.parametrize(
    ("chunks", "said"),
    [
        ([delta(content="It")], r"sent \[DONE\] and no finish_reason"),
        ([ends("It", "")], r"sent \[DONE\] and no finish_reason"),
        ([ends("It", "eos")], "with finish_reason 'eos', not one of stop, length"),
        ([delta(content="It"), ends(None, "COMPLETE")], "with finish_reason 'complete'"),
        ([delta(content="It"), STOP, delta(content=" is")], r"sent \[DONE\] and no finish_reason"),
        ([delta(content="It"), {"status": "gone"}], '; it also sent {"status": "gone"}'),
    ],
)
def test_done_without_a_reason_of_the_protocol_is_no_end(chunks: list[object], said: str) -> None:
    failure = failure_of(streams(sse(*chunks), DONE))
    assert failure.fault == "protocol"
    assert re.search(said, str(failure))


@pytest.mark.parametrize(
    "reason", ["content_filter", "error", "abort", "cancelled", "network_error", "timeout"]
)
def test_a_reason_that_says_that_the_reply_is_not_whole_is_a_failure(reason: str) -> None:
    failure = failure_of(streams(sse(delta(content="It"), ends(None, reason)), DONE))
    assert f"cut the reply short (finish_reason {reason!r})" in str(failure)
    assert failure.fault == "engine"


def test_a_reply_that_ends_in_the_middle_of_a_thought_is_not_whole() -> None:
    body = sse(delta(content="Well. <think>They ask"), ends(None, "length"))
    assert "in the middle of its reasoning" in str(failure_of(streams(body, DONE)))


# Failures in a shape of their own.


@pytest.mark.parametrize(
    "error",
    [
        b'data: {"object":"error","message":"out of memory"}\n\n',
        b'data: {"error":"out of memory"}\n\n',
        b'data: {"detail":"out of memory"}\n\n',
        b'data: {"message":"out of memory","type":"InternalServerError"}\n\n',
        b'data: {"message":"out of memory"}\n\n',
        b'event: error\ndata: {"message":"out of memory"}\n\n',
        b"event: error\ndata: out of memory\n\n",
        b'data: {"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error",'
        b'"error":{"code":502,"message":"out of memory"}}]}\n\n',
        b'data: {"choices":[],"error":{"message":"out of memory"}}\n\n',
        b'data: {"choices":[],"status":"failed","message":"out of memory"}\n\n',
        b'data: {"choices":[],"usage":null,"message":"out of memory"}\n\n',
        b'data: {"choices":[{"index":0,"delta":{"error":{"message":"out of memory"}}}]}\n\n',
        b'data: {"choices":[{"index":1,"delta":{},"error":"out of memory"}]}\n\n',
        b'data: {"choices":[],"x_groq":{"error":"out of memory"}}\n\n',
        b'data: {"exception":"out of memory"}\n\n',
        b'data: {"Error":"out of memory"}\n\n',
        b'error: {"code":500,"message":"out of memory"}\n\n',
        b'{"error":"out of memory"}\n\n',
        b"Internal Server Error: out of memory\n\n",
    ],
)
@pytest.mark.parametrize("then", [DONE, sse(STOP) + DONE, b""])
def test_an_error_is_a_failure_whatever_its_shape_and_what_follows(
    error: bytes, then: bytes
) -> None:
    failure = failure_of(streams(sse(*(delta(content=w) for w in WORDS[:4])), error, then))
    assert "out of memory" in str(failure)
    assert failure.fault == "engine"


@pytest.mark.parametrize(
    "body", [b'{"error": {"message": "out of memory"}}', b'{\n"error": "out of memory"\n}\n']
)
def test_a_document_that_is_called_an_event_stream_is_shown(body: bytes) -> None:
    assert "failed in mid-answer: out of memory" in str(failure_of(streams(body)))


def test_an_error_event_without_a_word_is_a_failure() -> None:
    failure = failure_of(streams(sse(delta(content="It")), b"event: error\ndata:\n\n", sse(STOP)))
    assert "without a word" in str(failure)


def test_an_error_event_without_data_is_a_failure() -> None:
    script = streams(sse(delta(content="It")), b"event: error\n\n", sse(STOP) + DONE)
    assert "without a word" in str(failure_of(script))


def test_a_line_outside_the_events_is_remarked() -> None:
    events = events_of(streams(sse(delta(content="It")), b"I am tired\n\n", sse(STOP) + DONE))
    assert texts(events) == ["It"]
    assert [event for event in events if isinstance(event, Remark)] == [
        Remark("unknown", "I am tired")
    ]


def test_a_last_chunk_without_its_blank_line_is_read() -> None:
    """The standard ignores it; but it may be an error, or text that a false end hides."""
    chunks = [delta(content="It"), STOP]
    failing = sse(*chunks) + sse({"error": "out of memory"}).rstrip()
    assert "out of memory" in str(failure_of(streams(failing)))
    more = sse(*chunks) + sse(ends(" is late.")).rstrip()
    assert texts(events_of(streams(more))) == ["It", " is late."]


def test_an_error_without_its_blank_line_after_the_end_fails_the_turn() -> None:
    script, goes_on = late(sse({"error": "out of memory"}).rstrip())
    with chat(script) as (model, _):
        list(model.reply("x"))
        goes_on.set()
        with pytest.raises(RemoteError, match="out of memory"):
            model.look_back()


def test_an_unknown_chunk_is_remarked_with_the_servers_words_and_harms_nothing() -> None:
    unknown = [{"type": "ping"}, {"progress": 0.5}, {"choices": "none"}, {}]
    events = events_of(streams(sse(delta(content="It"), *unknown, STOP), DONE))
    assert texts(events) == ["It"]
    assert [event for event in events if isinstance(event, Remark)] == [
        Remark("unknown", '{"type": "ping"}')
    ]


@pytest.mark.parametrize("alive", [b"data:\n\n", b"data: \n\n", b": OPENROUTER PROCESSING\n\n"])
def test_a_keep_alive_is_nothing(alive: bytes) -> None:
    script = streams(alive, sse(delta(content="It")), alive, sse(STOP), alive, DONE)
    events = events_of(script)
    assert texts(events) == ["It"]
    assert kinds(events) == []


# Shapes of chunks.


@pytest.mark.parametrize(
    "chunk",
    [
        {"choices": None},
        {"choices": []},
        {"choices": [None]},
        {"choices": [{"delta": None, "finish_reason": None}]},
        {"choices": [{"delta": {"role": "assistant"}}]},
        {"choices": [{"index": 1, "delta": {"content": "No"}, "finish_reason": "stop"}]},
        {"choices": [], "prompt_filter_results": []},
    ],
)
def test_a_chunk_without_text_of_the_first_choice_is_no_token_and_no_end(chunk: object) -> None:
    script = streams(sse(chunk, delta(content="It"), chunk, delta(content=" is"), STOP), DONE)
    assert texts(events_of(script)) == ["It", " is"]


def test_a_message_beside_a_delta_is_not_spoken_again() -> None:
    so_far = {"message": {"role": "assistant", "content": "It is"}}
    chunks = [
        {"choices": [{"delta": {"content": "It"}, **so_far}]},
        {"choices": [{"delta": {"content": " is"}, **so_far}]},
        {"choices": [{"delta": {}, "finish_reason": "stop", **so_far}]},
    ]
    assert texts(events_of(streams(sse(*chunks), DONE))) == ["It", " is"]


def test_the_first_choice_is_told_by_its_index() -> None:
    other = {"index": 1, "delta": {"content": "No"}}
    first = {"index": 0, "delta": {"content": "Yes"}}
    assert texts(events_of(streams(sse({"choices": [other, first]}, STOP), DONE))) == ["Yes"]


def test_a_role_only_chunk_may_be_the_end() -> None:
    end = {"choices": [{"delta": {"role": "assistant"}, "finish_reason": "stop"}]}
    assert texts(events_of(streams(sse(delta(content="It"), end), DONE))) == ["It"]


# What nobody should hear.


@pytest.mark.parametrize(
    "deltas",
    [
        ["<think>", "They", " ask.", "</think>", "\n\n", "It", " is"],
        ["<thi", "nk>They ask.</", "think>", "It", " is"],
    ],
)
def test_a_thought_in_the_content_is_no_token(deltas: list[str]) -> None:
    chunks = [delta(content=text) for text in deltas]
    events = events_of(streams(*(sse(chunk) for chunk in chunks), sse(STOP), DONE))
    assert [text.strip() for text in texts(events)] == ["It", "is"]
    assert "reasoning" in kinds(events)


def test_a_blank_first_delta_is_no_token_and_the_remark_has_its_moment() -> None:
    moments: list[float] = []

    def script(peer: Peer) -> None:
        peer.request()
        peer.head(content_type="text/event-stream", transfer_encoding="chunked")
        peer.chunk(sse(delta(content="\n\n")))
        assert seen.wait(LONGEST_S)
        moments.append(time.monotonic())
        peer.chunk(sse(delta(content="It"), STOP) + DONE)
        peer.chunk(b"")

    seen, found = threading.Event(), []
    with chat(script) as (model, _):
        for event in model.reply("x"):
            found.append(event)
            if isinstance(event, Remark):
                assert not moments
                seen.set()
            elif isinstance(event, Token):
                assert moments
    assert Remark("blank") in found
    assert texts(found) == ["\n\nIt"]


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        ({"reasoning_content": "hm"}, "reasoning"),
        ({"reasoning": "hm"}, "reasoning"),
        ({"reasoning_details": [{"text": "hm"}]}, "reasoning"),
        ({"content": [{"type": "thinking", "thinking": []}]}, "reasoning"),
        ({"tool_calls": [{"index": 0}]}, "tool calls"),
        ({"refusal": "No."}, "refusal"),
        ({"audio": {"data": "AAAA"}}, "non-text"),
    ],
)
def test_what_is_withheld_is_remarked_once(field: dict[str, object], kind: str) -> None:
    script = streams(sse(delta(**field), delta(**field), delta(content="It"), STOP), DONE)
    assert kinds(events_of(script)) == [kind]
