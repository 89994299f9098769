"""The loop of a paced server: one thread that sends each step at its moment, and stamps it.

It waits with `select`, whose time-out has microseconds (that of ``epoll`` has milliseconds). Steps
are in a heap by their moments. What a slow client does not take at once waits in its connection,
and is counted (``blocked``): its stamps would say too little.
"""

from __future__ import annotations

import contextlib
import heapq
import json
import select
import selectors
import socket
import time
from itertools import count

from voicebench.load.pacing.paced_messages import PacedMessages, answer
from voicebench.load.pacing.paced_reply import (
    ChatReply,
    PacedReply,
    RealtimeReply,
    SpeechReply,
    VoiceReply,
)
from voicebench.load.pacing.paced_requests import (
    REALTIME_PATH,
    STAMPS_PATH,
    STATE_PATH,
    VOICE_PATH,
    BrokenRequest,
    PacedRequest,
    RequestReader,
)
from voicebench.load.pacing.paced_script import PacedScript
from voicebench.load.pacing.send_stamps import SendStamp, SendStamps

READ_BYTES = 65_536
SENDS_A_LOOK = 64
"""Steps that are sent before the sockets are looked at again."""
ROUTES = ("/v1/chat/completions", "/v1/audio/speech")
MOST_WAITING_BYTES = 8 << 20
"""A client that reads so little is hung up."""


class _Client:
    """One connection, and the reply that it is being sent."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.port = int(sock.getpeername()[1])
        self.requests = 0
        self.reader = RequestReader()
        self.waiting = bytearray()
        self.sending: _Sending | None = None


class _Sending:
    """A reply under way: the client, the next step, and when the reply began."""

    def __init__(self, client: _Client, reply: PacedReply, began_ns: int, delay_ns: int) -> None:
        self.client = client
        self.reply = reply
        self.began_ns = began_ns + delay_ns
        self.request = client.requests
        self.next = 0

    @property
    def due_ns(self) -> int:
        return self.began_ns + self.reply.steps[self.next].at_ns


class PacedServer:
    """Serves a script on the ``listener``, until ``run`` is told to end."""

    def __init__(
        self, script: PacedScript, listener: socket.socket, *, keep_stamps: bool = True
    ) -> None:
        self._script = script
        self._messages = PacedMessages(script)
        self._listener = listener
        self._stamps = SendStamps() if keep_stamps else None
        self._selector = selectors.DefaultSelector()
        self._heap: list[tuple[int, int, _Sending]] = []
        self._numbers = count()
        self._clients: set[_Client] = set()
        self._at_once = self._most_at_once = self._begun = self._spoken = 0
        self._answered = self._refused = self._blocked = 0
        self._latest_ns = 0

    def run(self, until_closed: int) -> None:
        """Serve until ``until_closed`` can be read: the other end of this pipe was closed."""
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(until_closed, selectors.EVENT_READ)
        while True:
            self._send_what_is_due()
            for key, events in self._ready():
                if key.fd == until_closed:
                    return
                if key.data is None:
                    self._accept()
                else:
                    self._serve(key.data, events)

    def _ready(self) -> list[tuple[selectors.SelectorKey, int]]:
        left_s = None
        if self._heap:
            left_s = (self._heap[0][0] - time.perf_counter_ns()) / 1e9
        if left_s is None or left_s > 0:
            select.select([self._selector.fileno()], [], [], left_s)
        return self._selector.select(0)

    def _send_what_is_due(self) -> None:
        heap = self._heap
        for _ in range(SENDS_A_LOOK):
            if not heap or heap[0][0] > time.perf_counter_ns():
                return
            due_ns, _, sending = heapq.heappop(heap)
            if sending.client.sending is sending:
                self._send_step(sending, due_ns)

    def _send_step(self, sending: _Sending, due_ns: int) -> None:
        client, reply = sending.client, sending.reply
        step = reply.steps[sending.next]
        payload = reply.payload(step)
        sent_ns = time.perf_counter_ns()
        self._send(client, payload)
        self._latest_ns = max(self._latest_ns, sent_ns - due_ns)
        if self._stamps is not None:
            self._stamps.add(
                SendStamp(client.port, sending.request, step.kind, step.number, due_ns, sent_ns)
            )
        sending.next += 1
        if step.kind == "end":
            client.sending = None
            self._at_once -= reply.can_be_refused
            self._answered += 1
        elif client.sending is sending:
            heapq.heappush(self._heap, (sending.due_ns, next(self._numbers), sending))

    def _send(self, client: _Client, data: bytes) -> None:
        if client.waiting:
            client.waiting += data
            self._blocked += 1
            if len(client.waiting) > MOST_WAITING_BYTES:
                self._drop(client)
            return
        try:
            sent = client.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._drop(client)
            return
        if sent < len(data):
            self._blocked += 1
            client.waiting += data[sent:]
            both = selectors.EVENT_READ | selectors.EVENT_WRITE
            self._selector.modify(client.socket, both, client)

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                sock, _ = self._listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                client = _Client(sock)
                self._clients.add(client)
                self._selector.register(sock, selectors.EVENT_READ, client)

    def _serve(self, client: _Client, events: int) -> None:
        if client not in self._clients:
            return
        try:
            if events & selectors.EVENT_WRITE and client.waiting:
                del client.waiting[: client.socket.send(client.waiting)]
                if not client.waiting:
                    self._selector.modify(client.socket, selectors.EVENT_READ, client)
            data = client.socket.recv(READ_BYTES) if events & selectors.EVENT_READ else None
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._take(client, data)
        elif data is not None:
            self._drop(client)

    def _take(self, client: _Client, data: bytes) -> None:
        began_ns = time.perf_counter_ns()
        reader = client.reader
        try:
            for request in reader.feed(data):
                client.requests += 1
                self._begin(client, request, began_ns)
            if reader.to_send:
                self._send(client, reader.to_send)
                reader.to_send = b""
        except BrokenRequest as broken:
            self._send(client, broken.reply)
            self._drop(client)

    def _begin(self, client: _Client, request: PacedRequest, began_ns: int) -> None:
        reply = self._reply_to(request)
        if isinstance(reply, bytes):
            self._send(client, reply)
            return
        delay_ns = 0
        if reply.can_be_refused:
            self._begun += 1
            at_once = self._at_once + 1
            if self._script.refuses(at_once, self._begun):
                self._refused += 1
                self._send(client, reply.refused())
                return
            delay_ns = self._script.delay_ns(at_once, self._begun - self._refused - at_once)
            self._at_once = at_once
            self._most_at_once = max(self._most_at_once, at_once)
        self._abandon(client)
        client.sending = sending = _Sending(client, reply, began_ns, delay_ns)
        heapq.heappush(self._heap, (sending.due_ns, next(self._numbers), sending))

    def _reply_to(self, request: PacedRequest) -> PacedReply | bytes:
        body = request.body if isinstance(request.body, dict) else {}
        match request.path:
            case "/v1/chat/completions" if body.get("stream") and body.get("messages"):
                options = body.get("stream_options")
                usage = isinstance(options, dict) and bool(options.get("include_usage"))
                return ChatReply(self._messages, with_usage=usage)
            case "/v1/audio/speech" if body.get("input"):
                words = len(str(body["input"]).split())
                return SpeechReply(self._messages, words, stalls=self._stalls())
            case path if path == VOICE_PATH and request.turn is not None:
                return VoiceReply(self._messages, request.turn, stalls=self._stalls())
            case path if path == REALTIME_PATH and request.turn is not None:
                return RealtimeReply(self._messages, request.turn, stalls=self._stalls())
        return self._document(request.path)

    def _document(self, path: str) -> bytes:
        if path == "/v1/models":
            return answer(200, {"object": "list", "data": [{"id": "paced", "object": "model"}]})
        if path == "/health":
            return answer(200, {"status": "ok"})
        if path == STAMPS_PATH:
            stamps = b"" if self._stamps is None else self._stamps.as_bytes()
            return answer(200, stamps, "application/octet-stream")
        if path == STATE_PATH:
            return answer(200, self._state())
        if path in ROUTES:
            said = "chat is streamed and has messages; speech has an input"
            return answer(400, {"error": {"message": said}})
        return answer(404, {"error": {"message": "no such path"}})

    def _stalls(self) -> bool:
        self._spoken += 1
        every = self._script.stall_every
        return every > 0 and self._spoken % every == 0

    def _state(self) -> dict[str, object]:
        return {
            "script": json.loads(self._script.as_json()),
            "connections": len(self._clients),
            "at_once": self._at_once,
            "most_at_once": self._most_at_once,
            "answered": self._answered,
            "refused": self._refused,
            "blocked": self._blocked,
            "latest_ms": self._latest_ns / 1e6,
            "stamps_left_out": 0 if self._stamps is None else self._stamps.left_out,
            "processor_s": time.process_time(),
        }

    def _drop(self, client: _Client) -> None:
        if client in self._clients:
            self._clients.discard(client)
            self._abandon(client)
            self._selector.unregister(client.socket)
            client.socket.close()

    def _abandon(self, client: _Client) -> None:
        """Give up the reply of a client that has hung up or that asks anew."""
        sending, client.sending = client.sending, None
        if sending is not None:
            self._at_once -= sending.reply.can_be_refused
