"""One open WebSocket: what is sent and what comes in, with our limits on every wait.

Between turns a small thread answers the peer's pings, as every client does: a server would else
hang up in the middle of a silent gap.

**What comes between two turns answers nothing**: it was sent before the next turn's request. A turn
therefore begins with an empty connection. What is there by then goes to `SetAside`, and so does the
rest of a message that has only begun.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import httpcore
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from voicebench.remote.connection.dialling import Connection
from voicebench.remote.connection.frame_heads import FrameHeads, MessageKind
from voicebench.remote.connection.timeouts import WaitBudget
from voicebench.remote.failure import RemoteError

IDLE_LOOK_S = 0.25
"""How often pings are looked for between turns."""
READ_BYTES = 1 << 16
MOST_READS_BEFORE = 256
"""Reads that may find something before a turn begins: 16 MB."""
MAX_SET_ASIDE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message; messages of one ``arrival`` were there together."""

    data: str | bytes
    arrival: int


@dataclass(frozen=True, slots=True)
class Beginning:
    """A message of which a byte is in hand, and not all of it."""

    kind: MessageKind


class SetAside:
    """Messages that came between two turns: the first of them, up to a megabyte and one more."""

    def __init__(self) -> None:
        self._messages: list[str | bytes] = []
        self._bytes = 0

    def add(self, message: str | bytes) -> None:
        """Keep ``message``, if there is room."""
        if self._bytes < MAX_SET_ASIDE_BYTES:
            self._messages.append(message)
            self._bytes += len(message)

    def __len__(self) -> int:
        """Return how many messages are kept."""
        return len(self._messages)

    def take(self) -> list[str | bytes]:
        """Return the messages, and forget them."""
        taken, self._messages, self._bytes = self._messages, [], 0
        return taken


class SocketOwner(Protocol):
    """Who opened the socket: the words for its failures, and what came between two turns."""

    set_aside: SetAside

    def failure(self, what: str, remedy: str = "", *, fault: str = "protocol") -> RemoteError:
        """Return the error that ``what`` (a verb and its object) befell the exchange."""
        ...

    def quote(self, text: str) -> str:
        """Return the server's words as an error may show them."""
        ...


class OpenSocket:
    """One open WebSocket: its connection, its protocol, and what came in and is not yet taken."""

    def __init__(
        self,
        connection: Connection,
        protocol: ClientProtocol,
        line: SocketOwner,
        first_frames: bytes,
    ) -> None:
        """Take over after the handshake; ``first_frames`` came with its end."""
        self.connection = connection
        self.connect_ms = 0.0
        self.uses = 0
        self._protocol = protocol
        self._line = line
        # Guards the protocol and every call into the socket; nobody waits for the peer under it.
        self._lock = threading.Lock()
        self._inbox: deque[Incoming] = deque()
        self._parts: list[bytes] = []
        self._is_text = False
        self._heads = FrameHeads()
        self._heads.feed(first_frames)
        self._beginning_told = False
        self._rest_is_late = False
        self._in_turn = True
        self._closed = threading.Event()
        self._receive_events()
        threading.Thread(
            target=self._answer_pings, name="voicebench-websocket", daemon=True
        ).start()

    def start_turn(self) -> None:
        """Take the connection over from the thread that looks after it between turns."""
        with self._lock:
            self._in_turn = True
        self.clear()

    def clear(self) -> None:
        """Set aside what is there by now, for nothing has been asked that it could answer.

        Raises `RemoteError` where the peer sends without end.
        """
        with self._told(), contextlib.suppress(httpcore.WriteTimeout), self._lock:
            for _ in range(MOST_READS_BEFORE):
                if not self._read(IDLE_LOOK_S):
                    break
            else:
                raise self._line.failure("sends without end though nothing was asked for")
            self._set_aside()
            self._rest_is_late = self._heads.begun is not None

    def end_turn(self) -> None:
        """Give the connection back to that thread."""
        with self._lock:
            self._in_turn = False

    def lapsed(self) -> bool:
        """Whether no further turn can use it."""
        with contextlib.suppress(RemoteError, httpcore.WriteTimeout), self._told(), self._lock:
            # A farewell may wait to be read.
            self._read(IDLE_LOOK_S)
        return self._protocol.state is not State.OPEN or self.connection.lapsed()

    def send(self, message: str | bytes, patience: WaitBudget) -> None:
        """Send one message."""
        seconds = patience.left_s()
        try:
            with self._told(), self._lock:
                if self._protocol.state is not State.OPEN:
                    raise self._hung_up()
                if isinstance(message, str):
                    self._protocol.send_text(message.encode())
                else:
                    self._protocol.send_binary(message)
                flush(self.connection, self._protocol, seconds)
        except httpcore.WriteTimeout:
            raise patience.run_out() from None

    def receive(self, patience: WaitBudget) -> Incoming | Beginning:
        """Return the next message; before it, where it comes in pieces, that it has begun."""
        while not self._inbox:
            begun = self._heads.begun
            if begun is not None and not (self._beginning_told or self._rest_is_late):
                self._beginning_told = True
                return Beginning(begun)
            if self._protocol.state is not State.OPEN:
                raise self._hung_up()
            if not self.connection.wait(patience.left_s()):
                raise patience.run_out()
            try:
                with self._told(), self._lock:
                    self._read(patience.left_s())
            except httpcore.WriteTimeout:
                raise patience.run_out() from None
        patience.answer_began()
        return self._inbox.popleft()

    def received(self) -> list[Incoming]:
        """Return the messages that are there already; nothing is waited for."""
        with self._told(), contextlib.suppress(httpcore.WriteTimeout), self._lock:
            self._read(IDLE_LOOK_S)
        received = list(self._inbox)
        self._inbox.clear()
        return received

    def linger(self, seconds: float) -> None:
        """Set aside what comes within ``seconds``, between two turns."""
        until = time.monotonic() + seconds
        with contextlib.suppress(RemoteError, httpcore.WriteTimeout), self._told():
            while (left := until - time.monotonic()) > 0 and self.connection.wait(left):
                with self._lock:
                    if not self._read(left) and self.connection.lapsed():
                        return
                    self._set_aside()

    def close(self, seconds: float) -> None:
        """Say goodbye, wait for the answer for up to ``seconds``, hang up."""
        self._closed.set()
        until = time.monotonic() + seconds
        with contextlib.suppress(RemoteError, httpcore.WriteTimeout), self._told(), self._lock:
            if self._protocol.state is State.OPEN:
                self._protocol.send_close(1000)
                flush(self.connection, self._protocol, max(seconds, 0.05))
            while (left := until - time.monotonic()) > 0 and not self.connection.lapsed():
                if self._protocol.close_rcvd is not None or not self.connection.wait(left):
                    break
                self._read(left)
        self.connection.close()

    def _read(self, seconds: float) -> bool:
        """Read what is there; return whether there was something."""
        data = self.connection.read_now(READ_BYTES)
        feed(self._protocol, data)
        self._heads.feed(data or b"")
        # Pongs, and the answer to a farewell.
        flush(self.connection, self._protocol, seconds)
        self._receive_events()
        return bool(data)

    def _set_aside(self) -> None:
        for incoming in self._inbox:
            self._line.set_aside.add(incoming.data)
        self._inbox.clear()

    def _receive_events(self) -> None:
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and event.opcode in _DATA:
                self._take(event)

    def _take(self, frame: Frame) -> None:
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        self._parts.append(bytes(frame.data))
        if not frame.fin:
            return
        data = b"".join(self._parts)
        self._parts.clear()
        self._beginning_told = False
        try:
            message = data.decode("utf-8") if self._is_text else data
        except UnicodeDecodeError as error:
            raise self._line.failure(
                f"sends text that is not UTF-8: {error.reason} in {data[-60:]!r}"
            ) from None
        if self._rest_is_late:
            self._rest_is_late = False
            self._line.set_aside.add(message)
            return
        self._inbox.append(Incoming(message, self.connection.arrivals))

    def _answer_pings(self) -> None:
        while not self._closed.wait(IDLE_LOOK_S):
            with contextlib.suppress(RemoteError, httpcore.WriteTimeout), self._told(), self._lock:
                if self._in_turn:
                    continue
                if self._closed.is_set() or self._protocol.state is not State.OPEN:
                    return
                self._read(IDLE_LOOK_S)
                self._set_aside()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except httpcore.NetworkError as error:
            raise self._line.failure(f"broke the connection off ({error})") from None

    def _hung_up(self) -> RemoteError:
        """Return the error that says how the connection ended."""
        protocol = self._protocol
        if protocol.parser_exc is not None and not isinstance(protocol.parser_exc, EOFError):
            broken = self._line.quote(str(protocol.parser_exc))
            return self._line.failure(f"broke the rules of WebSocket ({broken})")
        if protocol.close_rcvd is None:
            return self._line.failure("broke the connection off")
        code, reason = protocol.close_rcvd.code, self._line.quote(protocol.close_rcvd.reason)
        return self._line.failure(
            f"hung up in mid-turn, with code {int(code)}" + (f": {reason}" if reason else "")
        )


_DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)


def feed(protocol: ClientProtocol, data: bytes | None) -> None:
    """Give the protocol what was read: nothing for None, the end for no bytes."""
    if data:
        protocol.receive_data(data)
    elif data is not None:
        protocol.receive_eof()


def flush(connection: Connection, protocol: ClientProtocol, seconds: float) -> None:
    """Write what the protocol has to say."""
    # An empty piece stands for the end of what we send; the connection is closed soon anyway.
    for data in filter(None, protocol.data_to_send()):
        connection.write(data, seconds)
