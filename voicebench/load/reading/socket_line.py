"""A line to one WebSocket server: one connection at a time, opened and set up before it is needed.

The handshake, the session's set-up, pings and close frames are all dealt with in the reader's loop,
between turns too. `websockets` speaks the protocol, by its part that does no I/O. The words of the
errors are those of the synchronous client (`voicebench.remote.connection.websocket`).
"""

from __future__ import annotations

import time
from collections.abc import Generator
from itertools import count
from typing import Protocol

from websockets.client import ClientProtocol
from websockets.protocol import State

from voicebench.events import Connected
from voicebench.load.reading.budget_timer import BudgetTimer
from voicebench.load.reading.reading_loop import ReadConnection, ReadingLoop, Timer, Where
from voicebench.remote.connection.connecting import NO_CONNECTION, reaching_remedy
from voicebench.remote.connection.open_socket import SetAside
from voicebench.remote.connection.socket_messages import Beginning, SocketMessages
from voicebench.remote.connection.websocket import NO_HANDSHAKE
from voicebench.remote.failure import RemoteError
from voicebench.targets.remote_turn import SocketTarget
from voicebench.turn.playback import NS_PER_S

_numbers = count(1)


class SocketUser(Protocol):
    """A turn that uses a line."""

    def opened(self, at_ns: int) -> None:
        """The connection is open and set up."""
        ...

    def took(self, message: str | bytes | Beginning, at_ns: int, received_ns: int | None) -> None:
        """A message is whole; or some bytes of one have come, but not all."""
        ...

    def read_over(self, at_ns: int) -> None:
        """All messages of one read were handed on."""
        ...

    def failed(self, error: RemoteError, at_ns: int) -> None:
        """The connection is gone."""
        ...


class SocketLine:
    """The WebSocket of one caller to one server (a `Receiver`).

    ``target`` never connects: it knows the server, and remembers the caller's turns.
    """

    def __init__(self, loop: ReadingLoop, where: Where, target: SocketTarget) -> None:
        self.loop = loop
        self.target = target
        self.set_aside = SetAside()
        self.connect_ns: int | None = None
        """How long connection and session took to open; None if they are not open."""
        self._where = where
        self._service = target.service
        self._connection: ReadConnection | None = None
        self._protocol: ClientProtocol | None = None
        self._handshake = b""
        self._messages: SocketMessages | None = None
        self._steps: Generator[str | None, str | bytes] | None = None
        self._user: SocketUser | None = None
        self._limit: Timer | BudgetTimer | None = None
        self._number = self._uses = 0
        self._rest_is_late = self._beginning_told = False

    @property
    def is_open(self) -> bool:
        """Whether the next turn can begin at once."""
        return self.connect_ns is not None

    @property
    def setup_ns(self) -> int | None:
        """How long it took to open; None if it is not open."""
        return self.connect_ns

    @property
    def port(self) -> int | None:
        """Our own port; None if there is no connection."""
        return None if self._connection is None else self._connection.port

    def open(self) -> None:
        """Begin to connect, unless it is open or connecting; anew where each turn needs that."""
        if self._uses and self._user is None and self.target.has_connection_a_turn:
            self.hang_up()
        self._connect()

    def _connect(self) -> None:
        if self._connection is None:
            self._connection = ReadConnection(self.loop, self._where)
            self._connection.receiver = self
            self._protocol = self._service.new_protocol()
            self._number, self._uses = next(_numbers), 0
            limit_s = self._service.access.timeouts.to_connect().seconds
            limit_ns = self._connection.began_ns + round(limit_s * NS_PER_S)
            self._limit = self.loop.at(limit_ns, self._does_not_open)

    def take(self, user: SocketUser) -> bool:
        """Give the connection to a turn; return whether it is opened now, inside the turn.

        What has come by now is set aside. The turn is told when the connection is open, if it is
        not open yet.
        """
        is_endless = self.is_open and self._connection is not None and not self._connection.drain()
        self._rest_is_late = self._messages is not None and self._messages.begun is not None
        in_turn = not self.is_open
        self._connect()
        self._user = user
        self._uses += 1
        if is_endless:
            error = self._service.failure("sends without end though nothing was asked for")
            self._fail(error, time.perf_counter_ns())
        return in_turn

    def release(self) -> None:
        """Take the connection back from a turn that has ended."""
        self._user = None

    def connected(self, *, in_turn: bool) -> Connected:
        """Return the event that describes the connection to the turn that took it."""
        reused = self._uses > 1
        connect_ms = (self.connect_ns or 0) / 1e6
        in_turn = in_turn and not reused
        return Connected(connect_ms, reused, self._number, in_turn=in_turn, port=self.port or 0)

    def send(self, message: str) -> None:
        """Send a message; if the connection is closed by now, the next read says why."""
        if self._protocol is not None and self._protocol.state is State.OPEN:
            self._protocol.send_text(message.encode())
            self._flush()

    def hang_up(self) -> None:
        """Close the connection, with a close frame."""
        connection, protocol = self._connection, self._protocol
        if connection is None or protocol is None:
            return
        if protocol.state is State.OPEN:
            protocol.send_close(1000)
            self._flush()
        connection.receiver = None
        connection.close()
        if self._limit is not None:
            self._limit.cancel()
        self._connection = self._protocol = self._messages = self._steps = self._limit = None
        self._user = self.connect_ns = None
        self._handshake = b""
        self._rest_is_late = self._beginning_told = False

    def opened(self, at_ns: int) -> None:  # noqa: ARG002
        """Ask for the WebSocket."""
        self._flush()

    def took(self, data: bytes, at_ns: int, received_ns: int | None) -> None:
        """Take what was read."""
        if self._messages is None:
            self._shake_hands(data, at_ns)
        else:
            self._messages.feed(data)
            self._flush()
        messages = self._messages
        if messages is None:
            return
        try:
            for message in messages.whole():
                self._give(message, at_ns, received_ns)
                if self._messages is not messages:
                    return  # what it says ended the connection
        except RemoteError as error:
            self._fail(error, at_ns)
            return
        if messages.begun is not None and not (self._rest_is_late or self._beginning_told):
            self._beginning_told = True
            if self._user is not None and self.is_open:
                self._user.took(Beginning(messages.begun), at_ns, received_ns)
        if self._user is not None:
            self._user.read_over(at_ns)
        if self._messages is messages and not messages.is_open:
            self._fail(messages.closed_error(), at_ns)

    def closed(self, why: str, at_ns: int) -> None:
        """Say why there is no connection any more."""
        service, protocol = self._service, self._protocol
        if self._connection is None or protocol is None:
            return
        if self._connection.connect_ns is None:
            error = service.refusal(f"cannot be reached ({why})", reaching_remedy(why))
        elif self._messages is None and not why:
            protocol.receive_eof()
            assert protocol.handshake_exc is not None
            error = service.handshake_error(protocol.handshake_exc)
        elif self._messages is None:
            error = service.refusal(f"closed the connection early ({why})")
        elif why:
            error = service.failure(f"closed the connection early ({why})")
        else:
            self._messages.feed(b"")
            error = self._messages.closed_error()
        self._fail(error, at_ns)

    def _shake_hands(self, data: bytes, at_ns: int) -> None:
        protocol = self._protocol
        assert protocol is not None
        self._handshake += data
        protocol.receive_data(data)
        self._flush()
        if protocol.handshake_exc is not None:
            self._fail(self._service.handshake_error(protocol.handshake_exc), at_ns)
        elif protocol.state is not State.CONNECTING:
            first_frames = self._handshake.partition(b"\r\n\r\n")[2]
            self._handshake = b""
            self._messages = SocketMessages(protocol, self._service, first_frames)
            self._set_up(at_ns)

    def _set_up(self, at_ns: int) -> None:
        assert self._limit is not None
        self._limit.cancel()
        budget = self._service.wait_budget(in_turn=False)
        self._limit = BudgetTimer(self.loop, budget, self._fail)
        self._steps = self.target.setting_up()
        self._go_on(None, at_ns)

    def _go_on(self, message: str | bytes | None, at_ns: int) -> None:
        """Go on with the set-up, by the message it waits for."""
        steps = self._steps
        assert steps is not None
        try:
            with self._service.adding_context():
                wanted = next(steps) if message is None else steps.send(message)
                while wanted is not None:
                    self.send(wanted)
                    wanted = next(steps)
        except StopIteration:
            self._is_set_up(at_ns)
        except RemoteError as error:
            self._fail(error, at_ns)

    def _is_set_up(self, at_ns: int) -> None:
        assert self._connection is not None
        assert self._limit is not None
        self._limit.cancel()
        self._steps = self._limit = None
        self.connect_ns = at_ns - self._connection.began_ns
        if self._user is not None:
            self._user.opened(at_ns)

    def _give(self, message: str | bytes, at_ns: int, received_ns: int | None) -> None:
        self._beginning_told = False
        if self._rest_is_late:
            self._rest_is_late = False
            self.set_aside.add(message)
        elif self._steps is not None:
            if isinstance(self._limit, BudgetTimer):
                self._limit.heard(at_ns)
            self._go_on(message, at_ns)
        elif self._user is not None:
            self._user.took(message, at_ns, received_ns)
        else:
            self.set_aside.add(message)

    def _flush(self) -> None:
        """Send what the protocol wants to send: also pongs, and the answer to a close frame."""
        if self._protocol is not None and self._connection is not None:
            data = b"".join(self._protocol.data_to_send())
            if data:
                self._connection.send(data)

    def _fail(self, error: RemoteError, at_ns: int) -> None:
        user = self._user
        self.hang_up()
        if user is not None:
            user.failed(error, at_ns)

    def _does_not_open(self) -> None:
        limit = self._service.access.timeouts.to_connect()
        has_connected = self._connection is not None and self._connection.connect_ns is not None
        what = NO_HANDSHAKE if has_connected else NO_CONNECTION
        error = self._service.failure(
            f"{what} within {limit.words}",
            f"check the URL and the network, or raise {limit.setting}",
            fault="timeout",
            stage="connect",
        )
        self._fail(error, time.perf_counter_ns())
