"""The language model behind OpenAI's protocol, against servers that keep it and that do not."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Generator

import pytest
from chat_server import (
    DONE,
    STOP,
    answers,
    chat,
    delta,
    events_of,
    failure_of,
    sse,
    streams,
    texts,
)
from loopback import (
    GIVEN_UP_S,
    LONGEST_S,
    Peer,
    Script,
    closed_port,
    send_in_step,
    until,
)
from read_moments import moments_of

from voicebench.errors import CannotMeasure, UsageError
from voicebench.events import Connected, Reply, ServerTiming, Token, Usage
from voicebench.remote.clients.openai_chat import ChatOptions, OpenAiChat
from voicebench.remote.connection.access import ApiKey
from voicebench.remote.connection.timeouts import Timeouts
from voicebench.remote.failure import RemoteError
from voicebench.text.chat_template import PastMessage

# What is a token.


def test_only_non_empty_visible_text_is_a_token() -> None:
    events = events_of(
        streams(
            sse(
                delta(role="assistant", content=""),
                delta(role="assistant", content=None),
                delta(reasoning_content="Let me think."),
                delta(reasoning="Let me think."),
                delta(tool_calls=[{"index": 0, "function": {"name": "clock"}}]),
                delta(content="It"),
                delta(content=""),
                delta(content=" is late."),
                {"choices": []},
                STOP,
            )
            + DONE
        )
    )
    assert texts(events) == ["It", " is late."]


def test_the_text_of_other_choices_is_not_spoken() -> None:
    other = {"choices": [{"index": 1, "delta": {"content": "Nope"}, "finish_reason": None}]}
    assert texts(events_of(streams(sse(other, delta(content="Yes"), STOP), DONE))) == ["Yes"]


def test_content_in_typed_parts_is_its_text() -> None:
    parts = [{"type": "thinking", "text": "hm"}, {"type": "text", "text": "Yes"}]
    assert texts(events_of(streams(sse(delta(content=parts), STOP)))) == ["Yes"]


def test_a_letter_that_two_deltas_share_is_one_token_when_it_is_whole() -> None:
    body = b'data: {"choices":[{"delta":{"content":"\\ud83d"}}]}\n\n' + sse(delta(content="x"))
    first_half = body.replace(b'"x"', b'"\\udd70"')
    assert texts(events_of(streams(first_half, sse(STOP)))) == ["🕰"]


def test_deltas_of_one_read_are_tokens_of_which_all_but_the_first_are_joined() -> None:
    with_role = sse(delta(role="assistant", content=""), delta(content="a"), delta(content="b"))

    def script(peer: Peer) -> None:
        peer.request()
        until(waits)
        head = {"content_type": "text/event-stream", "transfer_encoding": "chunked"}
        send_in_step(lambda: peer.head(**head), waits)
        send_in_step(lambda: peer.chunk(with_role), waits)
        send_in_step(lambda: peer.chunk(sse(delta(content="c"))), waits)
        # Two chunks of the transfer coding in one segment came together all the same.
        first, second = sse(delta(content="d")), sse(delta(content="e"), STOP) + DONE
        peer.send(b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(first), first, len(second), second))

    def waits() -> int:
        return model._pool._made[-1].arrivals

    with chat(script) as (model, _):
        tokens = [event for event in model.reply("x") if isinstance(event, Token)]
    assert tokens == [
        Token("a"),
        Token("b", joined=True),
        Token("c"),
        Token("d"),
        Token("e", joined=True),
    ]


def test_text_is_in_hand_when_it_is_read_and_all_of_one_read_at_once() -> None:
    body = sse(delta(content="a"), delta(content="b"), STOP) + DONE
    with chat(streams(body)) as (model, _):
        model.prepare()
        first, second = moments_of(lambda: model.reply("x"))
        assert first == second


def test_a_whole_answer_is_in_hand_with_its_last_bytes() -> None:
    whole = {"choices": [{"message": {"content": "Yes."}, "finish_reason": "stop"}]}

    def script(peer: Peer) -> None:
        peer.request()
        peer.answer("application/json", json.dumps(whole).encode())

    with chat(script) as (model, _):
        model.prepare()
        assert len(moments_of(lambda: model.reply("x"))) == 1


def test_each_token_is_given_out_when_its_bytes_are_there_and_not_when_more_come() -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.head(content_type="text/event-stream", transfer_encoding="chunked")
        for word in ("one", "two"):
            peer.chunk(sse(delta(content=word)))
            # More is sent only once this one is given out.
            assert taken.acquire(timeout=LONGEST_S)
        peer.chunk(sse(STOP))
        peer.chunk(b"")

    taken, words = threading.Semaphore(0), []
    with chat(script) as (model, _):
        for event in model.reply("x"):
            if isinstance(event, Token):
                words.append(event.text)
                taken.release()
    assert words == ["one", "two"]


# Usage, whole answers, the server's own time.


def test_usage_counts_visible_tokens_only() -> None:
    usage = {
        "choices": [],
        "usage": {"completion_tokens": 40, "completion_tokens_details": {"reasoning_tokens": 31}},
    }
    events = events_of(streams(sse(delta(content="Yes"), STOP, usage) + DONE))
    assert [event for event in events if isinstance(event, Usage)] == [Usage(9, hidden=31)]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ({"prompt_tokens": 90}, (90, None)),
        ({"prompt_tokens": 90, "prompt_tokens_details": {"cached_tokens": 70}}, (90, 70)),
        ({"prompt_tokens": 90, "prompt_tokens_details": {"cached_tokens": 0}}, (90, 0)),
        ({"prompt_tokens": 90, "prompt_tokens_details": {"cached_tokens": 91}}, (90, None)),
        ({"prompt_tokens": 90, "prompt_tokens_details": None}, (90, None)),
        ({"prompt_tokens_details": {"cached_tokens": 7}}, (None, None)),
        ({"prompt_tokens": "90"}, (None, None)),
    ],
)
def test_usage_says_what_of_the_prompt_was_not_computed_again(
    prompt: dict[str, object], expected: tuple[int | None, int | None]
) -> None:
    usage = {"choices": [], "usage": {"completion_tokens": 1, **prompt}}
    *_, counted = events_of(streams(sse(delta(content="Yes"), STOP, usage) + DONE))
    assert counted == Usage(1, 0, *expected)


def test_a_usage_that_grows_with_every_chunk_counts_once_as_it_ended() -> None:
    chunks = [delta(content="a") | {"usage": {"completion_tokens": count}} for count in (1, 2, 3)]
    events = events_of(streams(sse(*chunks, STOP)))
    assert [event for event in events if isinstance(event, Usage)] == [Usage(3)]


def test_a_whole_answer_is_a_reply_and_shows_no_token() -> None:
    body = {
        "choices": [{"message": {"role": "assistant", "content": "It is late."}}],
        "usage": {"completion_tokens": 4},
    }
    events = events_of(answers("application/json", json.dumps(body).encode()))
    assert [type(event) for event in events] == [Connected, Reply, Usage]
    assert events[1:] == [Reply("It is late."), Usage(4)]


def test_the_server_timing_of_the_head_stands_beside_our_time_to_the_head() -> None:
    def script(peer: Peer) -> None:
        peer.request()
        time.sleep(0.1)
        kind, timing = "text/event-stream", "total;dur=80"
        peer.head(content_type=kind, transfer_encoding="chunked", server_timing=timing)
        assert head_taken.wait(LONGEST_S)
        peer.chunk(sse(delta(content="a")))
        time.sleep(0.05)
        peer.chunk(sse(STOP))
        peer.chunk(b"")

    head_taken = threading.Event()
    with chat(script) as (model, _):
        began = time.monotonic()
        reply = model.reply("What time is it?")
        assert isinstance(next(reply), Connected)
        head_ms = (time.monotonic() - began) * 1000
        head_taken.set()
        (timing,) = [event for event in reply if isinstance(event, ServerTiming)]
    assert timing.duration_ms == 80
    assert timing.our_ms is not None
    assert 100 <= timing.our_ms <= head_ms


def test_llama_cpps_timings_say_how_long_it_took_to_its_first_token() -> None:
    last = STOP | {"timings": {"prompt_ms": 30.5, "predicted_ms": 100, "predicted_n": 9}}

    def script(peer: Peer) -> None:
        peer.request()
        kind = "text/event-stream"
        peer.head(content_type=kind, transfer_encoding="chunked", server_timing="total;dur=1")
        time.sleep(0.05)
        peer.chunk(sse(delta(content="a")))
        assert token_taken.wait(LONGEST_S)
        time.sleep(0.05)
        peer.chunk(sse(last))
        peer.chunk(b"")

    token_taken, events = threading.Event(), []
    with chat(script) as (model, _):
        began = time.monotonic()
        for event in model.reply("What time is it?"):
            events.append(event)
            if isinstance(event, Token):
                token_ms = (time.monotonic() - began) * 1000
                token_taken.set()
    (timing,) = [event for event in events if isinstance(event, ServerTiming)]
    assert (timing.duration_ms, timing.stage) == (30.5, "llm")
    assert timing.our_ms is not None
    assert 50 <= timing.our_ms <= token_ms


# What is asked for.


def test_the_request_asks_for_a_stream_with_usage_and_only_for_what_is_set() -> None:
    options = ChatOptions(max_tokens=40, system_prompt="Be brief.", extra={"top_k": 1})
    with chat(streams(sse(delta(content="a"), STOP)), options) as (model, server):
        list(model.reply("Hello?"))
    (request,) = server.requests
    assert (request.method, request.target) == ("POST", "/v1/chat/completions")
    assert request.headers["accept-encoding"] == "identity"
    assert request.json == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello?"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 40,
        "top_k": 1,
    }


def test_the_messages_of_a_conversation_are_sent_before_the_prompt() -> None:
    script = streams(sse(delta(content="a"), STOP))
    with chat(script, ChatOptions(system_prompt="Be brief.")) as (model, server):
        earlier = [PastMessage("user", "Hello?"), PastMessage("assistant", "a")]
        after = model.in_conversation(earlier, "talk")
        for said in (model, after):
            list(said.reply("Who?"))
        after.look_back()
        assert after.describe() == model.describe()
    system, *said = server.requests[1].json["messages"]
    assert server.requests[0].json["messages"] == [system, said[-1]]
    assert said == [
        {"role": "user", "content": "Hello?"},
        {"role": "assistant", "content": "a"},
        {"role": "user", "content": "Who?"},
    ]


def test_extra_can_take_a_key_out_of_the_request() -> None:
    options = ChatOptions(max_tokens=40, extra={"max_tokens": None, "max_completion_tokens": 40})
    with chat(streams(sse(delta(content="a"), STOP)), options) as (model, server):
        list(model.reply("Hello?"))
    assert "max_tokens" not in server.requests[0].json
    assert server.requests[0].json["max_completion_tokens"] == 40


def test_the_newer_name_of_the_limit_takes_the_older_ones_place() -> None:
    """A settings file cannot say None, and OpenAI's reasoning models refuse ``max_tokens``."""
    options = ChatOptions(max_tokens=40, extra={"max_completion_tokens": 400})
    with chat(streams(sse(delta(content="a"), STOP)), options) as (model, server):
        list(model.reply("Hello?"))
    assert "max_tokens" not in server.requests[0].json
    assert server.requests[0].json["max_completion_tokens"] == 400


def test_the_key_is_sent_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-secret")
    echo = json.dumps({"error": {"message": "Incorrect API key provided: sk-secret."}}).encode()
    script = answers("application/json", echo, "401 Unauthorized")
    with chat(script, key=ApiKey("SOME_KEY")) as (model, server):
        with pytest.raises(RemoteError) as caught:
            list(model.reply("x"))
        assert server.requests[0].headers["authorization"] == "Bearer sk-secret"
        assert "sk-secret" not in f"{caught.value} {caught.value!r} {model.describe()}"
    assert "SOME_KEY" in str(caught.value)
    assert "Incorrect API key provided: ***" in str(caught.value)


# Failures: each within its time, with its fault.


@pytest.mark.parametrize(
    ("script", "said", "fault"),
    [
        (answers("application/json", b'{"error": {"message": "no such model"}}', "404 Not Found"),
         "404: no such model", "refused"),
        (answers("text/plain", b"boom", "500 Internal Server Error"), "500: boom", "engine"),
        (answers("text/html", b"<title>Bad Gateway</title>", "502 Bad Gateway"),
         "502: Bad Gateway", "refused"),
        (answers("text/html", b"<html><title>Welcome</title></html>"),
         "answers text/html instead of a reply: Welcome", "protocol"),
        (answers("text/plain", b"", "307 Temporary Redirect", location="http://other.example/v1"),
         "redirects to http://other.example/v1", "refused"),
        (answers("application/json", b"", "200 OK"), "not JSON", "protocol"),
        (answers("application/json", b'{"choices": []}'), "without text", "engine"),
        (answers("text/event-stream", b""), "before the reply was complete", "protocol"),
        (streams(sse(delta(content="It"))), "before the reply was complete", "protocol"),
        (streams(sse(delta(role="assistant"), STOP), DONE), "a reply without text", "engine"),
        (streams(sse(delta(reasoning="hm"), STOP), DONE), "nothing but reasoning", "engine"),
        (streams(b"data: {broken\n\n"), "not JSON", "protocol"),
        (streams(b"data: 3\n\n"), "not a JSON object", "protocol"),
        (streams(b'data: {"choices":[{"delta":{"content":"caf\xc3"}}]}\n\n'),
         "not UTF-8", "protocol"),
        (streams(sse(delta(content="It"), {"error": {"message": "out of memory"}})),
         "out of memory", "engine"),
        (streams(b'event: error\ndata: {"message": "overloaded"}\n\n'), "overloaded", "engine"),
        (streams(b"x", content_encoding="gzip"), "content encoding gzip", "protocol"),
    ],
)  # fmt: skip
def test_a_broken_answer_is_a_failure_with_its_reason(
    script: Script, said: str, fault: str
) -> None:
    failure = failure_of(script)
    assert said in str(failure)
    assert (failure.fault, failure.stage) == (fault, "llm")


def silent(peer: Peer) -> None:
    peer.request()
    peer.wait_for_hangup()


def stalled(peer: Peer) -> None:
    peer.request()
    peer.head(content_type="text/event-stream", transfer_encoding="chunked")
    peer.chunk(sse(delta(content="It")))
    peer.wait_for_hangup()


def dripping_headers(peer: Peer) -> None:
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        peer.send(b"x: y\r\n")
        time.sleep(0.05)


def endless(peer: Peer) -> None:
    peer.request()
    peer.head(content_type="text/event-stream", transfer_encoding="chunked")
    while True:
        peer.chunk(sse(delta(content="word ")))
        time.sleep(0.05)


def resetting(peer: Peer) -> None:
    peer.request()
    peer.head(content_type="text/event-stream", transfer_encoding="chunked")
    peer.chunk(sse(delta(content="It")))
    time.sleep(0.1)
    peer.reset()


def hanging_up(peer: Peer) -> None:
    peer.request()


def no_http(peer: Peer) -> None:
    peer.request()
    peer.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")


@pytest.mark.parametrize(
    ("script", "limits", "said", "fault"),
    [
        (silent, {"first_byte_s": 0.4}, "no byte of an answer within 0.4 s", "timeout"),
        (dripping_headers, {"first_byte_s": 0.4}, "no byte of an answer within 0.4 s", "timeout"),
        (stalled, {"between_bytes_s": 0.3}, "sent nothing for 0.3 s", "timeout"),
        (endless, {"turn_s": 0.6}, "not done within the turn's 0.6 s", "timeout"),
        (resetting, {}, "closed the connection early", "protocol"),
        (hanging_up, {}, "violated the rules of HTTP", "protocol"),
        (no_http, {}, "violated the rules of HTTP", "protocol"),
    ],
)
def test_a_server_that_does_not_go_on_is_a_failure_within_its_time(
    script: Callable[[Peer], object], limits: dict[str, float], said: str, fault: str
) -> None:
    failure = failure_of(script, timeouts=Timeouts(**limits))
    assert said in str(failure)
    assert (failure.fault, failure.stage) == (fault, "llm")


def test_a_reply_without_end_is_cut_off_by_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicebench.remote.clients.openai_reply.MAX_REPLY_CHARS", 20)
    failure = failure_of(streams(*[sse(delta(content="word "))] * 10))
    assert "more than 20 letters" in str(failure)


def test_a_server_that_is_down_is_named_at_once() -> None:
    model = OpenAiChat(f"http://127.0.0.1:{closed_port()}/v1", "m")
    with pytest.raises(
        CannotMeasure, match=r"http://127\.0\.0\.1:\d+/v1/chat/completions"
    ) as caught:
        model.check()
    assert caught.value.exit_code == 4
    model.close()


def test_a_url_that_is_none_is_refused_when_it_is_read() -> None:
    with pytest.raises(UsageError, match="not a URL"):
        OpenAiChat("localhost:8000/v1", "m")


# Connections.


def test_giving_up_a_reply_hangs_up_so_that_the_server_can_stop() -> None:
    hung_up = []

    def script(peer: Peer) -> None:
        peer.request()
        peer.head(content_type="text/event-stream", transfer_encoding="chunked")
        peer.chunk(sse(delta(content="It")))
        hung_up.append(peer.wait_for_hangup())

    with chat(script) as (model, _):
        reply = model.reply("x")
        assert next(event for event in reply if isinstance(event, Token)) == Token("It")
        assert isinstance(reply, Generator)
        reply.close()
        until(lambda: hung_up)
    assert hung_up == [True]


def test_a_running_reply_can_be_interrupted_from_another_thread() -> None:
    with chat(stalled) as (model, _):
        reply = model.reply("x")
        assert next(event for event in reply if isinstance(event, Token))
        threading.Timer(0.1, model.interrupt).start()
        began = time.monotonic()
        with pytest.raises(RemoteError):
            next(reply)
        assert time.monotonic() - began < GIVEN_UP_S


def stays_open(peer: Peer) -> None:
    peer.wait_for_hangup()


def breaks_off(peer: Peer) -> None:
    peer.reset()


def drips_comments(peer: Peer) -> None:
    while True:
        peer.chunk(b": still here\n\n")
        time.sleep(0.02)


@pytest.mark.parametrize("then", [stays_open, breaks_off, drips_comments])
def test_a_finished_reply_needs_no_end_of_its_stream(then: Callable[[Peer], object]) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.head(content_type="text/event-stream", transfer_encoding="chunked")
        peer.chunk(sse(delta(content="It"), STOP))
        # A reset throws away what was not read.
        assert taken.acquire(timeout=LONGEST_S)
        then(peer)

    taken = threading.Semaphore(0)
    with chat(script) as (model, server):
        for turn in (1, 2):
            model.prepare()
            began = time.monotonic()
            reply = model.reply("x")
            assert next(event for event in reply if isinstance(event, Token)) == Token("It")
            taken.release()
            assert texts(list(reply)) == []
            assert time.monotonic() - began < GIVEN_UP_S
            assert server.connections == turn


def test_the_usage_that_follows_a_finished_reply_is_taken_and_the_connection_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # However late the server's thread gets to it, that is at once.
    monkeypatch.setattr("voicebench.remote.clients.openai_reply.END_S", 10)
    monkeypatch.setattr("voicebench.remote.connection.http.SETTLE_S", 10)

    def script(peer: Peer) -> None:
        while True:
            peer.request()
            peer.head(content_type="text/event-stream", transfer_encoding="chunked")
            peer.chunk(sse(delta(content="It"), STOP))
            time.sleep(0.01)
            peer.chunk(sse({"choices": [], "usage": {"completion_tokens": 3}}) + DONE)
            time.sleep(0.1)
            peer.chunk(b"")

    with chat(script) as (model, server):
        for _ in range(2):
            model.prepare()
            assert list(model.reply("x"))[-1] == Usage(3)
        assert server.connections == 1


def test_a_stream_whose_end_comes_late_does_not_delay_the_end_of_the_reply(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("voicebench.remote.connection.http.SETTLE_S", 10)

    def script(peer: Peer) -> None:
        while True:
            peer.request()
            peer.head(content_type="text/event-stream", transfer_encoding="chunked")
            peer.chunk(sse(delta(content="It"), STOP) + DONE)
            assert replied.acquire(timeout=LONGEST_S)
            time.sleep(0.1)
            peer.chunk(b"")

    replied = threading.Semaphore(0)
    with chat(script) as (model, server):
        for _ in range(2):
            model.prepare()
            assert texts(list(model.reply("x"))) == ["It"]
            replied.release()
        model.prepare()
        assert server.connections == 1
