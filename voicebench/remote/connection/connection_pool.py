"""The connections to one HTTP server, and which of them the next request takes.

HTTP/1.1 without a proxy is spoken by `Http1Connection`, HTTP/2 and everything through a proxy by
httpcore. That pools connections that have served, but opens a new one only while a request waits
for it, inside the turn. So `ConnectionPool` opens one ahead and hands it to httpcore.

**What comes before a request is not its answer.** A server may send more than was asked for, and
HTTP/1.1 would take the surplus for the answer to the next request. A connection with such a surplus
is closed, and one on which the server speaks first is an error.
"""

from __future__ import annotations

import logging
import ssl
import time

import httpcore
import httpx

from voicebench.remote.connection.access import Address, address_of
from voicebench.remote.connection.connecting import ConnectionAttempt
from voicebench.remote.connection.connection import Connection, connect, tls_context
from voicebench.remote.connection.http1 import Http1Connection, RequestHead
from voicebench.remote.connection.peer import Peer
from voicebench.remote.connection.timeouts import BudgetedTimeout, WaitBudget

_HTTP2_BEGINS = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
"""The client's preface and an empty SETTINGS frame (RFC 9113, section 3.4)."""
_HTTP2_SETTINGS = b"\x04\x00"
"""Type and flags of the frame that an HTTP/2 server sends first."""
_FRAME_HEAD_BYTES = 9


class ConnectionPool(httpcore.NetworkBackend):
    """The connections to one origin: at most one is opened ahead of the request that takes it."""

    def __init__(self, address: Address, peer: Peer) -> None:
        self._peer = peer
        self._access = access = peer.access
        self._tls = tls_context(access.ca_file) if address.tls else None
        self._proxy = address_of(access.proxy, "http") if access.proxy else None
        # The connection to a proxy is not encrypted; TLS with the server behind it begins later.
        self._first_stop = self._proxy or address
        self._ready: Connection | None = None
        self._made: list[Connection] = []
        if access.http2:
            # At debug level it would log the headers, the key's among them.
            logging.getLogger("hpack").setLevel(logging.INFO)
        self._http2_in_clear = access.http2 and not address.tls
        self._is_plain = not (access.http2 or access.proxy)
        """Whether `Http1Connection` is used, not httpcore."""
        self._line: Http1Connection | None = None
        self._pool = self._new_pool()

    def send(
        self, head: RequestHead, url: httpx.URL, content: bytes | None, budget: WaitBudget
    ) -> httpcore.Response:
        """Send a request to ``url`` and return the answer's head, its body still to be read."""
        timeout = BudgetedTimeout(budget, self._access.timeouts.between_bytes_s)
        if self._is_plain:
            return self._line_for(budget).send(head, content, timeout)
        # The peer may have closed the connections, which HTTP/2 would find out too late, or have
        # sent a surplus.
        lapsed = self._made and all(connection.lapsed() for connection in self._made)
        if lapsed or any(_has_surplus(connection) for connection in self._pool.connections):
            self.drop()
        timeouts = dict.fromkeys(("connect", "read", "write"), timeout)
        return self._pool.handle_request(
            httpcore.Request(
                head.method,
                httpcore.URL(
                    scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=head.target
                ),
                headers=head.all_fields(content),
                content=content,
                extensions={"timeout": {**timeouts, "pool": self._access.timeouts.connect_s}},
            )
        )

    def check(self) -> None:
        """Open a connection, and check that the peer speaks HTTP/2 where it must.

        Raises `RemoteError`.
        """
        if self._http2_in_clear and self._proxy is None:
            self._check_http2()
        self.open()

    def open(self) -> None:
        """Open a connection, unless one is open."""
        if self._ready is not None and self._ready.lapsed():
            self._ready = None
        if self._ready is None and not self._serving():
            self.drop()
            self._ready = self._connect(None, None if self._proxy else self._tls)

    def drop(self) -> None:
        """Close every connection."""
        for connection in self._made:
            connection.close()
        self._made.clear()
        self._ready = self._line = None
        self._pool.close()
        self._pool = self._new_pool()

    def interrupt(self) -> None:
        """Make running reads fail; called from another thread."""
        for connection in tuple(self._made):
            connection.interrupt()

    def _check_http2(self) -> None:
        """Begin HTTP/2 on a connection of its own, and require that the peer does."""
        limit_s = self._access.timeouts.connect_s
        until = time.monotonic() + limit_s
        connection = connect(self._first_stop, ConnectionAttempt(self._peer))
        answer = b""
        try:
            connection.write(_HTTP2_BEGINS, limit_s)
            while len(answer) < _FRAME_HEAD_BYTES and (left := until - time.monotonic()) > 0:
                data = connection.read(1024, left)
                if not data:
                    break
                answer += data
        except (httpcore.NetworkError, httpcore.TimeoutException):
            pass  # An HTTP/1.1 server may just hang up.
        finally:
            connection.close()
        if answer[3:5] != _HTTP2_SETTINGS:
            speaks = "HTTP/1.1" if answer.startswith(b"HTTP/1") else "no HTTP/2"
            raise self._peer.failure(
                f"speaks {speaks}, but wire.http2 needs it over http://",
                "set wire.http2 = false, or use the server's https:// address",
                stage="connect",
            )

    def connect_tcp(
        self,
        host: str,  # noqa: ARG002 (always the first stop)
        port: int,  # noqa: ARG002
        timeout: float | None = None,
        local_address: str | None = None,  # noqa: ARG002
        socket_options: object = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        """Give httpcore the connection that was opened ahead, or a new one."""
        ready = self._taken_ready()
        if ready is not None:
            return ready
        if not isinstance(timeout, BudgetedTimeout):
            return self._connect(None)
        return self._connect_in_turn(timeout.budget, None)

    def _line_for(self, budget: WaitBudget) -> Http1Connection:
        """Return the connection for a request, opened now if there is none."""
        line = self._line
        if line is not None and line.can_serve():
            return line
        if line is not None and line.is_idle:
            line.connection.close()
        connection = self._taken_ready() or self._connect_in_turn(budget, self._tls)
        self._line = Http1Connection(connection)
        return self._line

    def _taken_ready(self) -> Connection | None:
        """Return the connection that was opened ahead, if it can still be used.

        Raises `RemoteError` if the peer has spoken on it.
        """
        ready, self._ready = self._ready, None
        if ready is not None and not ready.lapsed():
            # Over TLS and HTTP/2 servers send first, about the connection itself.
            if (
                not self._access.http2
                and not ready.encrypted
                and ready.get_extra_info("is_readable")
            ):
                raise self._peer.failure(
                    "sends before anything was asked for",
                    "see what listens at that address",
                    stage="connect",
                )
            return ready
        return None

    def _connect_in_turn(self, budget: WaitBudget, tls: ssl.SSLContext | None) -> Connection:
        connection = self._connect(budget, tls)
        budget.begin_exchange()
        return connection

    def _connect(self, budget: WaitBudget | None, tls: ssl.SSLContext | None = None) -> Connection:
        if tls is not None:
            tls.set_alpn_protocols(["http/1.1", "h2"] if self._access.http2 else ["http/1.1"])
        connection = connect(self._first_stop, ConnectionAttempt(self._peer, budget), tls)
        self._made = [made for made in self._made if not made.closed]
        self._made.append(connection)
        return connection

    def _serving(self) -> bool:
        """Tell whether there is a connection that has served and can serve the next request."""
        if self._is_plain:
            return self._line is not None and self._line.can_serve()
        return any(
            connection.is_available()
            and not connection.has_expired()
            and not _has_surplus(connection)
            for connection in self._pool.connections
        ) and not all(connection.lapsed() for connection in self._made)

    def _new_pool(self) -> httpcore.ConnectionPool:
        return httpcore.ConnectionPool(
            ssl_context=self._tls,
            proxy=httpcore.Proxy(self._access.proxy) if self._access.proxy else None,
            # Without TLS, HTTP/2 cannot be negotiated.
            http1=not self._http2_in_clear,
            http2=self._access.http2,
            network_backend=self,
        )


def _has_surplus(connection: httpcore.ConnectionInterface) -> bool:
    """Tell whether an idle HTTP/1.1 connection has read more than the answers to its requests.

    httpcore looks only at the socket. What was read together with an answer's end is in h11's
    buffer, which may lie beneath the connection to a proxy.
    """
    if not connection.is_idle():
        return False
    inner: object = connection
    while (further := getattr(inner, "_connection", None)) is not None:
        inner = further
    state = getattr(inner, "_h11_state", None)
    return state is not None and bool(state.trailing_data[0])
