"""The connections of a server: how many there may be, and how long each may block something.

A client may send half a request and wait, or ask for a long answer and not read it. That costs the
client nothing, and the server a descriptor, memory, or a turn. So:

- **Number.** There are at most as many connections as descriptors allow. When one more comes, the
  one that has been idle longest is closed. At most half of them may be WebSockets, because the
  server does not know whether a WebSocket is idle.
- **Heads.** A request's head must arrive within `HEAD_S` of its first byte, and may have
  `MAX_HEAD_BYTES` in `MAX_HEADERS` headers. Before the first byte, and between two requests, a
  connection may be idle for `IDLE_S`.
- **Unread answers.** A client that reads slower than the slowest listener (`SLOWEST`) falls behind.
  If it is `STALL_S` behind, its connection is closed, which stops its turn. If others wait for a
  turn, `STALL_WHILE_OTHERS_WAIT_S` is enough.

`voicebench.server.bounded_protocols` has the two protocols that keep these rules.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

IDLE_S = 75
"""How long an idle connection stays open: longer than a client pauses between two turns."""
HEAD_S = 10.0
MAX_HEAD_BYTES = 64 << 10
MAX_HEADERS = 128
STALL_S = 30.0
"""How far a client may fall behind a listener before its connection is closed, in seconds."""
STALL_WHILE_OTHERS_WAIT_S = 5.0
SLOWEST = 16_000
"""Bytes per second of the slowest listener: 16-bit samples at 8 kHz."""
LOOK_S = 0.5
"""How often clients that do not keep up are checked."""
MOST_CONNECTIONS = 512
BACKLOG = 128
"""Connections that may be accepted before any of them can be closed."""
_SPARE_DESCRIPTORS = 24
"""Descriptors that the server itself needs while it runs: files, pipes, those of a turn."""

_LOG = logging.getLogger("voicebench.server")


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one server's connections, in numbers and seconds."""

    most: int = MOST_CONNECTIONS
    backlog: int = BACKLOG
    idle_s: int = IDLE_S
    head_s: float = HEAD_S
    stall_s: float = STALL_S
    stall_while_others_wait_s: float = STALL_WHILE_OTHERS_WAIT_S

    @property
    def most_sockets(self) -> int:
        """How many of them may be WebSockets."""
        return max(1, self.most // 2)


class ClientConnection:
    """Base of both protocols of a server: what `Connections` needs of a connection."""

    known: Connections
    transport: Any
    idle_since: float | None = None
    """Since when it has no request under way, on `now_s`'s clock. None if it has one, and for a
    WebSocket, whose client may think before its next turn."""

    def pause_writing(self) -> None:
        """Watch a client that does not read."""
        super().pause_writing()  # type: ignore[misc]
        self.known.falls_behind(self)

    def resume_writing(self) -> None:
        """Go on sending."""
        super().resume_writing()  # type: ignore[misc]
        self.known.keeps_up(self)

    def taken(self) -> int:
        """Return how many of the written bytes the client has taken."""
        return int(self.transport.taken())

    def break_off(self) -> None:
        """Close it at once, without sending the rest."""
        self.transport.abort()


class Connections:
    """All connections of a server. Used in one event loop.

    ``others_wait`` returns whether any request waits for a turn.
    """

    def __init__(
        self, limits: Limits | None = None, others_wait: Callable[[], bool] = lambda: False
    ) -> None:
        self.limits = limits or Limits()
        self._others_wait = others_wait
        self._open: set[ClientConnection] = set()
        self._sockets: set[ClientConnection] = set()
        self._behind: dict[ClientConnection, Arrears] = {}
        self._looking: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._open)

    def opened(self, connection: ClientConnection) -> None:
        """Add a new connection, and close another one if there are too many."""
        self._open.add(connection)
        if len(self._open) > self.limits.most:
            idle = [one for one in self._open if one.idle_since is not None]
            # The newest goes only where all others are busy.
            longest = min(idle, key=lambda one: (one is connection, one.idle_since or 0.0))
            self.closed(longest)
            longest.break_off()

    def closed(self, connection: ClientConnection) -> None:
        """Forget a connection."""
        self._open.discard(connection)
        self._sockets.discard(connection)
        self._behind.pop(connection, None)

    def has_room_for_socket(self) -> bool:
        """Return whether one more connection may become a WebSocket."""
        return len(self._sockets) < self.limits.most_sockets

    def became_socket(self, before: ClientConnection, socket: ClientConnection) -> None:
        """Note that a connection has become a WebSocket."""
        self.closed(before)
        self._open.add(socket)
        self._sockets.add(socket)

    def falls_behind(self, connection: ClientConnection) -> None:
        """Watch a connection that takes nothing more for now."""
        loop = asyncio.get_running_loop()
        arrears = self._behind.setdefault(connection, Arrears(loop.time(), connection.taken()))
        arrears.update(loop.time(), connection.taken())
        arrears.grow = True
        if self._looking is None:
            self._looking = loop.call_later(LOOK_S, self._look)

    def keeps_up(self, connection: ClientConnection) -> None:
        """Note that a connection has taken everything."""
        arrears = self._behind.get(connection)
        if arrears is not None:
            arrears.update(asyncio.get_running_loop().time(), connection.taken())
            arrears.grow = False

    def _look(self) -> None:
        limits = self.limits
        most_s = limits.stall_while_others_wait_s if self._others_wait() else limits.stall_s
        loop = asyncio.get_running_loop()
        for connection, arrears in list(self._behind.items()):
            arrears.update(loop.time(), connection.taken())
            if arrears.seconds >= most_s:
                _LOG.warning("a client that did not read for %.0f s is disconnected", most_s)
                self.closed(connection)
                connection.break_off()
            elif not (arrears.grow or arrears.seconds):
                del self._behind[connection]
        self._looking = loop.call_later(LOOK_S, self._look) if self._behind else None


class Arrears:
    """How many seconds a client is behind the slowest listener."""

    def __init__(self, at_s: float, taken: int) -> None:
        self.seconds = 0.0
        self.grow = True
        """Whether data waits to be taken. Else the arrears shrink with time."""
        self._at_s = at_s
        self._taken = taken

    def update(self, now_s: float, taken: int) -> None:
        """Add the time since the last update, less the listening time of what was taken."""
        passed_s, listened_s = now_s - self._at_s, (taken - self._taken) / SLOWEST
        self.seconds += (passed_s if self.grow else -passed_s) - listened_s
        self.seconds = max(0.0, self.seconds)
        self._at_s, self._taken = now_s, taken


def limits_for(descriptors: int) -> Limits:
    """Return the bounds for a process that may open this many more ``descriptors``."""
    spare = max(0, descriptors - _SPARE_DESCRIPTORS)
    backlog = max(4, min(BACKLOG, spare // 4))
    return Limits(most=max(4, min(MOST_CONNECTIONS, spare - backlog)), backlog=backlog)
