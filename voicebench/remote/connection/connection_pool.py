"""The lines to one HTTP server: which connections there are, and which the next request takes.

httpcore keeps the pool of connections that have served. It asks for a new one only while a request
waits for it, inside the turn; so `ConnectionPool` opens one ahead and hands that over.

**What comes before a request is no answer to it.** A server may send more than it was asked for,
and HTTP/1.1 would take the rest for the answer to the next request, in hand before it was sent. A
connection that holds such a rest is hung up, and one on which the server speaks first is refused.
"""

from __future__ import annotations

import logging
import ssl
import time

import httpcore

from voicebench.remote.connection.access import Access, Address, address_of
from voicebench.remote.connection.dialling import Connection, dial, trust
from voicebench.remote.connection.timeouts import Allowance, ConnectLimit
from voicebench.remote.failure import RemoteError

_HTTP2_BEGINS = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
"""The client's preface and its SETTINGS, of which there are none (RFC 9113, section 3.4)."""
_HTTP2_SETTINGS = b"\x04\x00"
"""Type and flags of the frame that a server of HTTP/2 sends first."""
_FRAME_HEAD_BYTES = 9


class ConnectionPool(httpcore.NetworkBackend):
    """The connections to one origin: at most one is opened ahead of the request that takes it."""

    def __init__(self, address: Address, peer: str, access: Access) -> None:
        self._peer = peer
        self._access = access
        self._tls = trust(access.ca_file) if address.tls else None
        self._proxy = address_of(access.proxy, "http") if access.proxy else None
        # A proxy is spoken to in the open; TLS with the server behind it begins later.
        self._first_stop = self._proxy or address
        self._ready: Connection | None = None
        self._made: list[Connection] = []
        if access.http2:
            # When everything is logged, it logs the headers that it packs, the key's among them.
            logging.getLogger("hpack").setLevel(logging.INFO)
        self._http2_in_clear = access.http2 and not address.tls
        self.pool = self._new_pool()

    def send(self, request: httpcore.Request) -> httpcore.Response:
        """Send ``request`` and return the answer's head, its body still to be read."""
        self._drop_lapsed()
        return self.pool.handle_request(request)

    def check(self) -> None:
        """Open a connection, and find out whether the peer speaks what is spoken to it.

        Raises `RemoteError`.
        """
        if self._http2_in_clear and self._proxy is None:
            self._check_http2()
        self.open()

    def open(self) -> None:
        """Make sure that a connection is open, and waits or has served before."""
        if self._ready is not None and self._ready.lapsed():
            self._ready = None
        if self._ready is None and not self._serving():
            self.drop()
            ahead = None if self._proxy else self._tls
            if ahead is not None:
                ahead.set_alpn_protocols(["http/1.1", "h2"] if self._access.http2 else ["http/1.1"])
            self._ready = self._keep(self._dial(self._access.timeouts.to_connect(), ahead))

    def drop(self) -> None:
        """Close every connection."""
        for connection in self._made:
            connection.close()
        self._made.clear()
        self._ready = None
        self.pool.close()
        self.pool = self._new_pool()

    def interrupt(self) -> None:
        """Wake up whoever reads from a connection."""
        for connection in tuple(self._made):
            connection.interrupt()

    def _drop_lapsed(self) -> None:
        """Forget connections that the peer has closed, or has sent too much over.

        HTTP/2 would find out too late that one is closed.
        """
        lapsed = self._made and all(connection.lapsed() for connection in self._made)
        if lapsed or any(_holds_rest(connection) for connection in self.pool.connections):
            self.drop()

    def _check_http2(self) -> None:
        """Begin HTTP/2 on a connection of its own, and see whether the peer does."""
        limit = self._access.timeouts.to_connect()
        until = time.monotonic() + limit.seconds
        connection = self._dial(limit, None)
        answer = b""
        try:
            connection.write(_HTTP2_BEGINS, limit.seconds)
            while len(answer) < _FRAME_HEAD_BYTES:
                if not connection.wait(max(0.0, until - time.monotonic())):
                    break
                data = connection.read_now(1024)
                if data == b"":
                    break
                answer += data or b""
        except (httpcore.NetworkError, httpcore.WriteTimeout):
            pass  # A server of HTTP/1.1 may just hang up.
        finally:
            connection.close()
        if answer[3:5] != _HTTP2_SETTINGS:
            speaks = "HTTP/1.1" if answer.startswith(b"HTTP/1") else "no HTTP/2"
            raise RemoteError(
                f"{self._peer} speaks {speaks}, and over http:// wire.http2 is spoken unasked",
                "set wire.http2 = false, or use the server's https:// address",
                fault="protocol",
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
        """Give httpcore the connection that waits, or a new one."""
        ready, self._ready = self._ready, None
        if ready is not None and not ready.lapsed():
            # Over TLS and HTTP/2 a server has things to say of the connection itself.
            if (
                not self._access.http2
                and not ready.encrypted
                and ready.get_extra_info("is_readable")
            ):
                raise RemoteError(
                    f"{self._peer} sends before anything was asked for",
                    "see what listens at that address",
                    fault="protocol",
                    stage="connect",
                )
            return ready
        if not isinstance(timeout, Allowance):
            return self._keep(self._dial(self._access.timeouts.to_connect(), None))
        connection = self._keep(self._dial(timeout.patience.to_connect(), None))
        timeout.patience.begin_exchange()
        return connection

    def _dial(self, limit: ConnectLimit, tls: ssl.SSLContext | None) -> Connection:
        return dial(self._first_stop, peer=self._peer, limit=limit, tls=tls)

    def _keep(self, connection: Connection) -> Connection:
        self._made = [made for made in self._made if not made.closed]
        self._made.append(connection)
        return connection

    def _serving(self) -> bool:
        """Whether the pool holds a connection that the next request can use."""
        return any(
            connection.is_available()
            and not connection.has_expired()
            and not _holds_rest(connection)
            for connection in self.pool.connections
        ) and not all(connection.lapsed() for connection in self._made)

    def _new_pool(self) -> httpcore.ConnectionPool:
        return httpcore.ConnectionPool(
            ssl_context=self._tls,
            proxy=httpcore.Proxy(self._access.proxy) if self._access.proxy else None,
            # HTTP/2 without TLS is spoken only where it is known beforehand.
            http1=not self._http2_in_clear,
            http2=self._access.http2,
            network_backend=self,
        )


def _holds_rest(connection: httpcore.ConnectionInterface) -> bool:
    """Whether an idle connection of HTTP/1.1 has read more than the answers that it was asked for.

    httpcore looks at the socket alone; what was read together with an answer's end is in h11's
    buffer, beneath the connection to a proxy if there is one.
    """
    if not connection.is_idle():
        return False
    inner: object = connection
    while (further := getattr(inner, "_connection", None)) is not None:
        inner = further
    state = getattr(inner, "_h11_state", None)
    return state is not None and bool(state.trailing_data[0])
