"""A line to one HTTP server: one connection at a time, opened before it is needed."""

from __future__ import annotations

from itertools import count

from voicebench.events import Connected
from voicebench.load.reading.reading_loop import ReadConnection, ReadingLoop, Where
from voicebench.remote.connection.peer import Peer

_numbers = count(1)


class HttpLine:
    """The connection of one caller to one server."""

    def __init__(self, loop: ReadingLoop, where: Where, peer: Peer) -> None:
        self.loop = loop
        self.peer = peer
        self._where = where
        self._connection: ReadConnection | None = None
        self._number = self._uses = 0

    @property
    def is_open(self) -> bool:
        """Whether the next request can be sent at once."""
        connection = self._connection
        return connection is not None and connection.is_open and not connection.is_closed

    @property
    def connect_ns(self) -> int | None:
        """How long the connection took to open; None if it is not open."""
        return self._connection.connect_ns if self.is_open and self._connection else None

    @property
    def port(self) -> int | None:
        """Our own port; None if there is no connection."""
        return None if self._connection is None else self._connection.port

    def open(self) -> None:
        """Begin to connect, unless it is open or connecting."""
        if self._connection is None or self._connection.is_closed:
            self._connection = ReadConnection(self.loop, self._where)
            self._number, self._uses = next(_numbers), 0

    def take(self) -> tuple[ReadConnection, bool]:
        """Return the connection for a request, and whether it is opened now, inside the turn."""
        in_turn = not self.is_open
        self.open()
        assert self._connection is not None
        self._uses += 1
        return self._connection, in_turn

    def connected(self, *, in_turn: bool) -> Connected:
        """Return the event that describes the connection to the request that took it."""
        connection = self._connection
        connect_ns = 0 if connection is None else connection.connect_ns or 0
        reused = self._uses > 1
        return Connected(connect_ns / 1e6, reused, self._number, in_turn=in_turn and not reused)

    def hang_up(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.receiver = None
            connection.close()
