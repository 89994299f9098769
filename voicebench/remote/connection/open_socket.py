"""One open WebSocket: what is sent and what comes in, with our limits on every wait.

Between turns a small thread answers the peer's pings. Without it a server would hang up in the
middle of a silent gap.

**What comes between two turns is no answer**: it was sent before the next turn's request. So a turn
begins with an empty connection. Messages that are there by then go to `SetAside`, and so does the
rest of a message that has only begun.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterator

import httpcore
from websockets.client import ClientProtocol
from websockets.protocol import State

from voicebench.remote.connection.connection import Connection
from voicebench.remote.connection.peer import Peer
from voicebench.remote.connection.socket_messages import Beginning, Incoming, SocketMessages
from voicebench.remote.connection.timeouts import WaitBudget
from voicebench.remote.failure import RemoteError

PING_INTERVAL_S = 0.25
"""How often pings are looked for between turns."""
READ_BYTES = 1 << 16
MAX_READS_BEFORE_TURN = 256
"""Reads that may find something before a turn begins: 16 MB."""
MAX_SET_ASIDE_BYTES = 1 << 20
_ANY_FAILURE = (RemoteError, httpcore.WriteTimeout)


class SetAside:
    """Messages that came between two turns: the first of them, until they exceed a megabyte."""

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


class OpenSocket:
    """One open WebSocket: its connection, its protocol, and the messages not yet taken.

    Made after the handshake; ``first_frames`` are the bytes that came with its end. Messages
    between turns go to ``set_aside``.
    """

    ping_interval_s = PING_INTERVAL_S
    """How often the thread looks for pings. A process with many connections looks less often."""

    def __init__(
        self,
        connection: Connection,
        protocol: ClientProtocol,
        peer: Peer,
        set_aside: SetAside,
        first_frames: bytes,
    ) -> None:
        self.connection = connection
        self._protocol = protocol
        self._peer = peer
        self._set_aside = set_aside
        # Guards the protocol and every call into the socket; never held while waiting for the peer.
        self._lock = threading.Lock()
        self._inbox: deque[Incoming] = deque()
        self._messages = SocketMessages(protocol, peer, first_frames)
        self._broken: RemoteError | None = None
        """What is wrong with a message that came."""
        self._beginning_returned = False
        self._rest_is_late = False
        self._in_turn = True
        self._closed = threading.Event()
        self._receive_events()
        threading.Thread(
            target=self._answer_pings, name="voicebench-websocket", daemon=True
        ).start()

    def start_turn(self) -> None:
        """Stop answering pings in the thread, and begin with an empty connection."""
        with self._lock:
            self._in_turn = True
        self.clear()

    def clear(self) -> None:
        """Set aside what has come: it cannot answer a request that is not sent yet.

        Raises `RemoteError` where the peer sends without end.
        """
        with contextlib.suppress(httpcore.WriteTimeout), self._locked():
            for _ in range(MAX_READS_BEFORE_TURN):
                if not self._read(PING_INTERVAL_S):
                    break
            else:
                raise self._peer.failure("sends without end though nothing was asked for")
            self._set_inbox_aside()
            self._rest_is_late = self._messages.begun is not None

    def end_turn(self) -> None:
        """Let the thread answer pings again."""
        with self._lock:
            self._in_turn = False

    def lapsed(self) -> bool:
        """Tell whether no further turn can use it."""
        with contextlib.suppress(*_ANY_FAILURE), self._locked():
            self._read(PING_INTERVAL_S)  # A close frame may wait to be read.
        is_open = self._protocol.state is State.OPEN and self._broken is None
        return not is_open or self.connection.lapsed()

    def send(self, message: str | bytes, budget: WaitBudget) -> None:
        """Send one message. Raises `RemoteError`."""
        seconds = budget.left_s()
        try:
            with self._locked():
                if self._protocol.state is not State.OPEN:
                    raise self._messages.closed_error()
                if isinstance(message, str):
                    self._protocol.send_text(message.encode())
                else:
                    self._protocol.send_binary(message)
                flush(self.connection, self._protocol, seconds)
        except httpcore.WriteTimeout:
            raise budget.timeout_error() from None

    def receive(self, budget: WaitBudget) -> Incoming | Beginning:
        """Return the next message; before it, if it comes in several reads, its beginning."""
        while not self._inbox:
            if self._broken is not None:
                raise self._broken
            begun = self._messages.begun
            if begun is not None and not (self._beginning_returned or self._rest_is_late):
                self._beginning_returned = True
                return Beginning(begun, self.connection.read_ns)
            if self._protocol.state is not State.OPEN:
                raise self._messages.closed_error()
            if not self.connection.wait(budget.left_s()):
                raise budget.timeout_error()
            try:
                with self._locked():
                    self._read(budget.left_s())
            except httpcore.WriteTimeout:
                raise budget.timeout_error() from None
        budget.answer_began()
        return self._inbox.popleft()

    def received(self) -> list[Incoming]:
        """Return the messages that are there already, without waiting."""
        with contextlib.suppress(httpcore.WriteTimeout), self._locked():
            self._read(PING_INTERVAL_S)
        if self._broken is not None:
            raise self._broken
        received = list(self._inbox)
        self._inbox.clear()
        return received

    def wait(self, seconds: float) -> bool:
        """Wait until there is something to read, or for ``seconds``; return whether there is."""
        return bool(self._inbox) or self.connection.wait_exactly(seconds)

    def arrived(self) -> list[Incoming]:
        """Return the messages that have come, without waiting.

        Raises `RemoteError` if there is none, and none will come any more.
        """
        with contextlib.suppress(httpcore.WriteTimeout), self._locked():
            while self._read(PING_INTERVAL_S) and self.connection.has_pending:
                pass  # under TLS a read brings one record
        received = list(self._inbox)
        self._inbox.clear()
        if not received and self._broken is not None:
            raise self._broken
        if not received and self._protocol.state is not State.OPEN:
            raise self._messages.closed_error()
        return received

    def linger(self, seconds: float) -> None:
        """Set aside what comes within ``seconds``, between two turns."""
        until = time.monotonic() + seconds
        with contextlib.suppress(*_ANY_FAILURE):
            while (left := until - time.monotonic()) > 0 and self.connection.wait(left):
                with self._locked():
                    if not self._read(left) and self.connection.lapsed():
                        return
                    self._set_inbox_aside()

    def close(self, seconds: float) -> None:
        """Send a close frame, wait for the peer's for up to ``seconds``, hang up."""
        self._closed.set()
        until = time.monotonic() + seconds
        with contextlib.suppress(*_ANY_FAILURE), self._locked():
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
        self._messages.feed(data)
        # Pongs, and the answer to a close frame.
        flush(self.connection, self._protocol, seconds)
        self._receive_events()
        return bool(data)

    def _set_inbox_aside(self) -> None:
        for incoming in self._inbox:
            self._set_aside.add(incoming.data)
        self._inbox.clear()

    def _receive_events(self) -> None:
        try:
            for message in self._messages.whole():
                self._beginning_returned = False
                if self._rest_is_late:
                    self._rest_is_late = False
                    self._set_aside.add(message)
                else:
                    connection = self.connection
                    self._inbox.append(Incoming(message, connection.arrivals, connection.read_ns))
        except RemoteError as error:
            self._broken = error  # raised after the messages before it

    def _answer_pings(self) -> None:
        while not self._closed.wait(self.ping_interval_s):
            with contextlib.suppress(*_ANY_FAILURE), self._locked():
                if self._in_turn:
                    continue
                if self._closed.is_set() or self._protocol.state is not State.OPEN:
                    return
                self._read(PING_INTERVAL_S)
                self._set_inbox_aside()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock, and turn an error of the network into a `RemoteError`."""
        try:
            with self._lock:
                yield
        except httpcore.NetworkError as error:
            raise self._peer.failure(f"closed the connection early ({error})") from None


def flush(connection: Connection, protocol: ClientProtocol, seconds: float) -> None:
    """Write what the protocol wants to send."""
    # An empty piece means the end of what we send; the connection is closed soon anyway.
    for data in filter(None, protocol.data_to_send()):
        connection.write(data, seconds)
