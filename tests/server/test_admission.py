"""Who is let in, who waits, who is refused; and that a turn stops when nobody wants it any more."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import httpx
import pytest
from scripted_engines import PATIENCE_S, sound, until, words
from served_somewhere import engines, prepared, server
from websockets import Subprotocol
from websockets.sync.client import connect

from voicebench.events import (
    AudioChunk,
    Emit,
    Event,
    Token,
    TtsEvent,
    TurnFailed,
    TurnFinished,
    TurnStarted,
)
from voicebench.pipeline.scheduling import FreeForAll
from voicebench.server.admission import Turns, Work
from voicebench.server.refusal import Refusal
from voicebench.turn import wire


class EndlessVoice:
    """A voice that goes on for ever, and counts the windows that it was made to compute."""

    def __init__(self, go_on: threading.Semaphore | None = None) -> None:
        self.windows = 0
        self.closed = threading.Event()
        self._go_on = go_on

    def speak(self, text: str) -> Iterator[TtsEvent]:
        try:
            while True:
                if self._go_on is not None:
                    assert self._go_on.acquire(timeout=PATIENCE_S)
                self.windows += 1
                yield sound(20)
        finally:
            self.closed.set()

    def describe(self) -> dict[str, object]:
        return {"engine": "endless"}

    def close(self) -> None: ...


def get(url: str, path: str, **parameters: str) -> bytes:
    """Return a request as bytes, to be sent on a bare socket."""
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    return f"GET {path}?{query} HTTP/1.1\r\nhost: {urlsplit(url).netloc}\r\n\r\n".encode()


@contextmanager
def bare(url: str) -> Iterator[socket.socket]:
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE_S) as sock:
        yield sock


def read_until(sock: socket.socket, mark: bytes) -> bytes:
    data = b""
    while mark not in data:
        more = sock.recv(65536)
        assert more, data
        data += more
    return data


def test_a_client_that_hangs_up_stops_the_voice_within_one_window() -> None:
    steps = threading.Semaphore(1)
    voice = EndlessVoice(steps)
    with server(engines(prepared(), voice)) as url:
        with bare(url) as sock:
            sock.sendall(get(url, "/tts/stream", text="hello"))
            read_until(sock, b"RIFF")
        # The voice is in its second window now; the server learns that nobody listens.
        assert voice.windows == 1
        wait_until_idle(url, steps.release)
    assert voice.closed.is_set()
    assert voice.windows <= 2


def wait_until_idle(url: str, then: Callable[[], object]) -> None:
    """Let the server see that its client left, let the turn go on, and wait for its end."""
    with httpx.Client(base_url=url, trust_env=False) as client:
        while 'outcome="cancelled"' not in client.get("/metrics").text:
            pass
        then()
        while client.get("/health").json()["running"]:
            pass


def test_a_client_that_hangs_up_before_the_first_token_stops_the_model() -> None:
    asked, let_go = threading.Event(), threading.Event()
    llm = prepared([asked.set, until(let_go), *words("never to be heard by anyone")])
    with server(engines(llm, prepared())) as url:
        body = b'{"model":"default","messages":[{"role":"user","content":"hi"}]}'
        with bare(url) as sock:
            sock.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
                b"content-type: application/json\r\n"
                + f"content-length: {len(body)}\r\n\r\n".encode()
                + body
            )
            assert asked.wait(PATIENCE_S)
        wait_until_idle(url, let_go.set)
    assert llm.unfinished == 0


def test_a_socket_that_closes_stops_both_engines() -> None:
    voice = EndlessVoice()
    llm = prepared(words("One two three four five six seven. And so on."))
    with server(engines(llm, voice)) as url:
        address = url.replace("http", "ws") + "/v1/voice"
        with connect(
            address,
            subprotocols=[Subprotocol(wire.SUBPROTOCOL)],
            compression=None,
            close_timeout=0.2,
        ) as socket_:
            socket_.send(wire.encode(TurnStarted("hello")))
            while not isinstance(wire.decode(socket_.recv()), AudioChunk):
                pass
        wait_until_idle(url, lambda: None)
    assert voice.closed.is_set()
    assert llm.unfinished == 0


def test_a_client_that_reads_nothing_holds_the_voice_back() -> None:
    voice = EndlessVoice()
    with server(engines(prepared(), voice)) as url, bare(url) as sock:
        sock.sendall(get(url, "/tts/stream", text="hello"))
        read_until(sock, b"RIFF")
        held = threading.Event()
        before = -1
        while before != voice.windows:  # until buffers are full everywhere
            before = voice.windows
            held.wait(0.3)
        assert not voice.closed.is_set()


def test_what_there_is_no_room_for_is_refused_with_a_time_to_come_again() -> None:
    begun, let_go = threading.Event(), threading.Event()
    voice = prepared([begun.set, until(let_go), sound()], [sound()], [sound()])
    answers: list[int] = []

    def ask(url: str) -> None:
        with suppress(httpx.HTTPError):
            answers.append(httpx.get(f"{url}/tts/stream?text=hi", trust_env=False).status_code)

    with server(engines(prepared(), voice), most_running=1, most_waiting=1) as url:
        first = threading.Thread(target=ask, args=(url,))
        first.start()
        assert begun.wait(PATIENCE_S)
        second = threading.Thread(target=ask, args=(url,))
        second.start()
        with httpx.Client(base_url=url, trust_env=False) as client:
            while client.get("/health").json()["waiting"] != 1:
                pass
            refused = client.get("/tts/stream?text=hi")
            assert refused.status_code == 503
            assert refused.json()["error"]["code"] == "overloaded"
            assert 1 <= int(refused.headers["retry-after"]) <= 60
            spoken = refuse_on_the_socket(url)
            assert "try again later" in spoken.reason
            let_go.set()
            first.join(PATIENCE_S)
            second.join(PATIENCE_S)
            assert answers == [200, 200]
            assert client.get("/tts/stream?text=hi").status_code == 200


async def take(turns: Turns, work: Work) -> list[Event]:
    async with turns.turn("/tts/stream", work) as turn:
        return [event async for event in turn.events()]


async def happened(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0)


def test_whoever_has_the_whole_answer_has_left_room_though_the_thread_is_not_done() -> None:
    let_go = threading.Event()

    def slow_to_end(emit: Emit, _schedule: FreeForAll) -> None:
        emit(TurnFinished())
        assert let_go.wait(PATIENCE_S)

    async def take_three() -> None:
        turns = Turns(most_running=1, most_waiting=0, new_schedule=FreeForAll)
        assert await take(turns, slow_to_end) == [TurnFinished()]
        assert turns.running == 0
        following = asyncio.create_task(take(turns, slow_to_end))
        await happened(lambda: turns.running)
        with pytest.raises(Refusal, match="1 turns run"):
            await take(turns, slow_to_end)
        let_go.set()
        assert await following == [TurnFinished()]
        await turns.close()

    asyncio.run(take_three())


def test_whoever_waits_while_the_server_shuts_down_is_refused_and_not_broken_off() -> None:
    let_go = threading.Event()

    def slow(emit: Emit, _schedule: FreeForAll) -> None:
        assert let_go.wait(PATIENCE_S)
        emit(TurnFinished())

    async def shut_down() -> None:
        turns = Turns(most_running=1, most_waiting=1, new_schedule=FreeForAll)
        running = asyncio.create_task(take(turns, slow))
        await happened(lambda: turns.running)
        waiting = asyncio.create_task(take(turns, slow))
        await happened(lambda: turns.waiting)
        draining = asyncio.create_task(turns.drain(PATIENCE_S))
        await happened(lambda: turns.draining)
        let_go.set()
        await draining
        assert await running == [TurnFinished()]
        with pytest.raises(Refusal, match="shutting down"):
            await waiting
        await turns.close()

    asyncio.run(shut_down())


def refuse_on_the_socket(url: str) -> TurnFailed:
    with connect(url.replace("http", "ws") + "/v1/voice", compression=None) as socket_:
        socket_.send(wire.encode(TurnStarted("hello")))
        event = wire.decode(socket_.recv())
    assert isinstance(event, TurnFailed)
    assert event.fault == "refused"
    return event


def test_a_client_that_leaves_the_queue_makes_room_in_it() -> None:
    begun, let_go = threading.Event(), threading.Event()
    voice = prepared([begun.set, until(let_go), sound()], [sound()])
    with (
        server(engines(prepared(), voice), most_running=1, most_waiting=1) as url,
        httpx.Client(base_url=url, trust_env=False) as client,
        bare(url) as first,
    ):
        first.sendall(get(url, "/tts/stream", text="hello"))
        assert begun.wait(PATIENCE_S)
        with bare(url) as second:
            second.sendall(get(url, "/tts/stream", text="hello"))
            while client.get("/health").json()["waiting"] != 1:
                pass
        while client.get("/health").json()["waiting"] != 0:
            pass
        let_go.set()
        read_until(first, b"RIFF")


def test_a_new_turn_is_heard_before_an_old_one_is_finished() -> None:
    voice = EndlessVoice()
    llm = prepared(words("One two three."), words("Four five six."))
    with server(engines(llm, voice), most_running=2) as url:
        address = url.replace("http", "ws") + "/v1/voice"
        with (
            connect(address, compression=None, close_timeout=0.2) as old,
            connect(address, compression=None, close_timeout=0.2) as new,
        ):
            for client in (old, new):
                client.send(wire.encode(TurnStarted("hello")))
                while not isinstance(wire.decode(client.recv(PATIENCE_S)), AudioChunk):
                    pass


def test_the_voice_socket_gives_the_turn_in_order_and_takes_the_next() -> None:
    llm = prepared(words("One two three."), words("Four."))
    tts = prepared([sound()], [sound()])
    with (
        server(engines(llm, tts)) as url,
        connect(
            url.replace("http", "ws") + "/v1/voice",
            subprotocols=[Subprotocol(wire.SUBPROTOCOL)],
            compression=None,
        ) as client,
    ):
        assert client.subprotocol == wire.SUBPROTOCOL
        for reply in ("One two three.", "Four."):
            client.send(wire.encode(TurnStarted(" hello ")))
            events: list[Event] = []
            while not events or not isinstance(events[-1], TurnFinished | TurnFailed):
                events.append(wire.decode(client.recv(PATIENCE_S)))
            assert "".join(event.text for event in events if isinstance(event, Token)) == reply
            assert any(isinstance(event, AudioChunk) for event in events)
            assert [type(event).__name__ for event in events[-2:]] == [
                "ServerTiming",
                "TurnFinished",
            ]
    assert llm.heard == ["hello", "hello"]


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("hello", "not JSON"),
        ('{"type": "token", "text": "x"}', "begins with"),
        (b"VB", "no sample"),
        ('{"type": "turn_started", "version": 2, "prompt": "x"}', "version 2"),
    ],
)
def test_what_is_no_turn_ends_the_connection_with_its_reason(
    url: str, message: str | bytes, said: str
) -> None:
    with connect(url.replace("http", "ws") + "/v1/voice", compression=None) as client:
        client.send(message)
        failure = wire.decode(client.recv(PATIENCE_S))
        assert isinstance(failure, TurnFailed)
        assert said in failure.reason
        assert failure.fault == "protocol"
        assert client.close_code is None or client.close_code == 1002


@pytest.mark.parametrize("prompt", ["", "  ", "a\u0007b", "x" * 5000])
def test_a_prompt_that_cannot_be_taken_fails_its_turn_and_no_more(url: str, prompt: str) -> None:
    with connect(url.replace("http", "ws") + "/v1/voice", compression=None) as client:
        client.send(wire.encode(TurnStarted(prompt)))
        failure = wire.decode(client.recv(PATIENCE_S))
        assert isinstance(failure, TurnFailed)
        assert failure.fault == "refused"
        client.send(wire.encode(TurnStarted("hello")))
        assert isinstance(wire.decode(client.recv(PATIENCE_S)), Token)


def test_a_message_in_the_middle_of_a_turn_ends_the_connection() -> None:
    with server(engines(prepared(words("One two three.")), EndlessVoice())) as url:
        address = url.replace("http", "ws") + "/v1/voice"
        with connect(address, compression=None, close_timeout=0.2) as client:
            client.send(wire.encode(TurnStarted("hello")))
            client.send(wire.encode(TurnStarted("hello")))
            event = wire.decode(client.recv(PATIENCE_S))
            while not isinstance(event, TurnFailed):
                event = wire.decode(client.recv(PATIENCE_S))
            assert "middle of a turn" in event.reason
