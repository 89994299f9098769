"""Look a host's name up and connect to it by TCP, within one time limit.

The limit is ``connect_s``, or what is left of the turn where that is less: connecting inside a turn
takes its time from the turn.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
import threading
import time
from typing import Any

from voicebench.events import Fault
from voicebench.remote.connection.access import Address
from voicebench.remote.connection.peer import Peer
from voicebench.remote.connection.timeouts import WaitBudget
from voicebench.remote.failure import RemoteError

NO_CONNECTION = "did not take a connection"
NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE)
"""The errors of a process, or a machine, that may open no further file or connection."""
_Resolved = list[tuple[Any, ...]]


class ConnectionAttempt:
    """The opening of one connection to ``peer``, from now on.

    ``budget`` is that of the turn that waits for it, None between turns. Raises `RemoteError` if
    the turn has no time left.
    """

    def __init__(self, peer: Peer, budget: WaitBudget | None = None) -> None:
        self.peer = peer
        self.in_turn = budget is not None
        self._limit = budget.to_connect() if budget else peer.access.timeouts.to_connect()
        self._began = time.monotonic()

    def took_ms(self) -> float:
        """Return the time since it began, in ms."""
        return (time.monotonic() - self._began) * 1000

    def left_s(self, what: str = NO_CONNECTION) -> float:
        """Return how long the next step may take.

        Raises `RemoteError` if no time is left: the peer ``what`` (a verb and its object) in time.
        """
        left = self._began + self._limit.seconds - time.monotonic()
        if left <= 0:
            raise self.timeout_error(what)
        return left

    def timeout_error(self, what: str = NO_CONNECTION) -> RemoteError:
        """Return the error that the peer ``what`` (a verb and its object) within the limit."""
        return self.failure(
            f"{what} within {self._limit.words}",
            f"check the URL and the network, or raise {self._limit.setting}",
            fault="timeout",
        )

    def failure(self, what: str, remedy: str, *, fault: Fault = "refused") -> RemoteError:
        """Return the error that the peer did ``what`` (a verb and its object)."""
        return self.peer.failure(what, remedy, fault=fault, stage="connect")


def resolve(address: Address, attempt: ConnectionAttempt) -> _Resolved:
    """Return the host's addresses. Raises `RemoteError`.

    The lookup runs in a thread, because the system's resolver has no timeout.
    """
    found: _Resolved = []
    failures: list[OSError | UnicodeError] = []

    def look_up() -> None:
        try:
            found.extend(socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            failures.append(error)

    lookup = threading.Thread(target=look_up, name="voicebench-lookup", daemon=True)
    lookup.start()
    lookup.join(attempt.left_s())
    for failure in failures:
        if isinstance(failure, OSError) and failure.errno in NO_DESCRIPTOR:
            raise _unreachable(failure, attempt)
        raise attempt.failure(
            f"cannot be reached: its name is not known ({failure})",
            "correct the URL, or check the network",
        )
    if not found:
        raise attempt.timeout_error()
    return found


def connect_tcp(resolved: _Resolved, attempt: ConnectionAttempt) -> socket.socket:
    """Connect to the first address that accepts. Raises `RemoteError`.

    The time that is left is shared among the addresses.
    """
    failure: OSError | None = None
    for index, (family, kind, protocol, _, where) in enumerate(resolved):
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as error:  # no file descriptor is left, for example
            failure = error
            continue
        try:
            sock.settimeout(attempt.left_s() / (len(resolved) - index))
            sock.connect(where)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        except BaseException as error:
            sock.close()
            if not isinstance(error, OSError):
                raise
            failure = error
    if isinstance(failure, TimeoutError):
        raise attempt.timeout_error()
    raise _unreachable(failure, attempt)


def _unreachable(failure: OSError | None, attempt: ConnectionAttempt) -> RemoteError:
    cause = cause_of(failure)
    return attempt.failure(f"cannot be reached ({cause})", reaching_remedy(cause))


def reaching_remedy(cause: str) -> str:
    """Return what helps if a server cannot be reached for ``cause``, in the system's words."""
    if cause in {os.strerror(code) for code in NO_DESCRIPTOR}:
        return "no file descriptor is left here: raise the limit (ulimit -n)"
    return "start the server, or correct the URL"


def tls_failure(attempt: ConnectionAttempt, error: OSError) -> RemoteError:
    """Return the error for a TLS handshake that ended in ``error``."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return attempt.failure(
            f"has a certificate that is not trusted ({error.verify_message})",
            "name the file of its certificate authority",
        )
    return attempt.failure(
        f"fails the TLS handshake ({cause_of(error)})",
        "does the server speak http:// or ws:// instead?",
        fault="protocol",
    )


def cause_of(error: OSError | None) -> str:
    """Return the system's words for ``error``."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return str(error.reason).lower().replace("_", " ")
    return "no address" if error is None else error.strerror or type(error).__name__
