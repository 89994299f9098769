"""A running server: where it listens, how it stops.

**Where.** On a loopback address by default; on another address only with a token.

**How it stops.** After the first Ctrl-C or SIGTERM, new turns are refused (503), running turns are
finished, and then connections are closed. A second signal stops the turns too.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import ipaddress
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import psutil
import uvicorn
from fastapi import FastAPI

from voicebench.agents import Agent
from voicebench.errors import UsageError
from voicebench.server.app import ServeOptions, create_app, turns_of
from voicebench.server.bounded_protocols import http_protocol, socket_protocol
from voicebench.server.connections import BACKLOG, Connections, Limits, limits_for
from voicebench.server.request_gate import LOOPBACK_NAMES, MAX_BODY_BYTES
from voicebench.server.served import Served

SWITCH_S = 0.0005
SEND_BUFFER_BYTES = 64 << 10
"""How much of an answer the system buffers for a client that does not read; Linux doubles it.

Without a limit the buffer would grow to megabytes, and hide for a long time that nobody reads.
"""
CLOSING_S = 3
"""How long clients may still read after all turns are over."""


def bind(host: str, port: int, *, has_token: bool) -> socket.socket:
    """Return the socket to listen on.

    Raises `UsageError` for a port in use, for an address that is not this machine's, and for an
    address that others can reach if there is no token.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise UsageError(f"--host {host} is no address of this machine", "try 127.0.0.1") from None
    family, _, _, _, address = found[0]
    if not has_token and not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback:
        raise UsageError(
            f"--host {host} lets other machines in, and no key protects the server",
            "put a key into an environment variable and name it with --token-env",
        )
    # asyncio sends small messages at once (TCP_NODELAY) only if the socket says that it is TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it would let two servers share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted connections inherit it.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"port {port} of {host} is in use", "stop what uses it, or give another --port"
            ) from None
        raise UsageError(
            f"cannot listen on port {port} of {host} ({error.strerror})", "give another one"
        ) from None
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the URL of a bound socket, as seen from this machine."""
    host, port = listener.getsockname()[:2]
    if ipaddress.ip_address(host.partition("%")[0]).is_unspecified:
        host = "::1" if listener.family == socket.AF_INET6 else "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def names_of(listener: socket.socket, host: str) -> frozenset[str] | None:
    """Return the names that requests may have in the Host header; None (any) if not loopback."""
    address = ipaddress.ip_address(listener.getsockname()[0].partition("%")[0])
    return LOOPBACK_NAMES | {host.lower(), str(address)} if address.is_loopback else None


class VoiceServer(uvicorn.Server):
    """uvicorn with the signals described above. ``stopped_hard``: a second one came."""

    def __init__(self, app: FastAPI, *, drain_s: float, limits: Limits | None = None) -> None:
        turns = turns_of(app)
        limits = limits or Limits()
        connections = Connections(limits, others_wait=lambda: turns.waiting > 0)
        super().__init__(
            uvicorn.Config(
                app,
                http=http_protocol(connections),
                ws=socket_protocol(connections),
                # uvloop where it is installed: half a millisecond less a request.
                loop="auto",
                backlog=connections.limits.backlog,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=connections.limits.idle_s,
                timeout_graceful_shutdown=CLOSING_S,
                # A client sends only texts, so the limit of a body is enough.
                ws_max_size=MAX_BODY_BYTES,
                # Compressing sound takes time and saves nothing.
                ws_per_message_deflate=False,
            )
        )
        self._turns = turns
        self._drain_s = drain_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._draining: asyncio.Task[None] | None = None
        self._asked_to_stop = False
        self.stopped_hard = False
        self.is_up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and set `is_up`."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self.is_up.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, close the connections, and wait for the turns' threads."""
        await super().shutdown(sockets)
        await self._turns.close()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Let running turns finish; stop them at the second signal."""
        del sig, frame
        if self._asked_to_stop:
            self.stopped_hard = True
        self.stop(at_once=self._asked_to_stop)

    def stop(self, *, at_once: bool = False) -> None:
        """Stop; from any thread."""
        self._asked_to_stop = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop_now if at_once else self._begin_to_drain)

    def _begin_to_drain(self) -> None:
        if self._draining is None:
            self._draining = asyncio.ensure_future(self._drain())

    async def _drain(self) -> None:
        await self._turns.drain(self._drain_s)
        self.should_exit = True

    def _stop_now(self) -> None:
        self._turns.cancel_all()
        self.should_exit = self.force_exit = True


def serve_until_stopped(
    served: Served,
    options: ServeOptions,
    listener: socket.socket,
    *,
    drain_s: float,
    agent: Agent | None = None,
) -> bool:
    """Serve in the main thread until a signal comes; return whether there was a second one."""
    # Switch from a thread that computes in Python to the event loop after this long. Python's
    # default of 5 ms would delay every message.
    sys.setswitchinterval(SWITCH_S)
    # What is loaded by now stays loaded; collecting it again and again would delay turns.
    gc.collect()
    gc.freeze()
    app = create_app(served, options, agent)
    server = VoiceServer(app, drain_s=drain_s, limits=_limits_here())
    server.run([listener])
    return server.stopped_hard


def _limits_here() -> Limits:
    """Return the bounds that fit the limit of this process's descriptors."""
    try:
        import resource  # no such thing on Windows, nor such a limit
    except ImportError:
        return Limits()
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Limits() if most < 0 else limits_for(most - psutil.Process().num_fds())


@contextmanager
def serving(
    served: Served,
    options: ServeOptions | None = None,
    limits: Limits | None = None,
    agent: Agent | None = None,
) -> Iterator[str]:
    """Serve in a thread of this process, on a free loopback port; give the URL.

    ``served`` is not closed at the end.
    """
    listener = bind("127.0.0.1", 0, has_token=False)
    url = url_of(listener)
    options = options or ServeOptions(hosts=LOOPBACK_NAMES)
    server = VoiceServer(create_app(served, options, agent), drain_s=5.0, limits=limits)
    thread = threading.Thread(target=server.run, args=([listener],), name="voicebench-server")
    thread.start()
    try:
        server.is_up.wait()
        yield url
    finally:
        server.stop(at_once=True)
        thread.join()
