"""The kernel's own time of what was read: how long bytes lay there before they were read.

Linux stamps each segment when it arrives, and hands the stamp over with the bytes
(``SO_TIMESTAMPNS``, socket(7); on a TCP socket it is the time of the last byte that was read). A
read of a plain socket leaves it for the thread that read, until `take` fetches it. Under TLS, and
on other systems, there is none.

Only a process that measures under load asks for the stamps (`want`): each read costs a microsecond
more.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import threading
import time

_TIMESTAMPNS = 35
"""``SO_TIMESTAMPNS`` and ``SCM_TIMESTAMPNS`` of Linux on all its common processors (64 bit)."""
_TIMESPEC = struct.Struct("=qq")
_SPACE = socket.CMSG_SPACE(_TIMESPEC.size) if hasattr(socket, "CMSG_SPACE") else 0


class _LatestRead(threading.local):
    received_ns: int | None = None


class _Process:
    wanted = False


_latest = _LatestRead()


def want() -> None:
    """Ask for stamps on every connection that this process opens from now on."""
    _Process.wanted = sys.platform == "linux" and struct.calcsize("P") == 8


def ask(sock: socket.socket) -> None:
    """Ask the kernel to stamp what arrives at ``sock``, if stamps are wanted."""
    if _Process.wanted:
        with contextlib.suppress(OSError):  # some sandboxes do not know it
            sock.setsockopt(socket.SOL_SOCKET, _TIMESTAMPNS, 1)


def receive(sock: socket.socket, max_bytes: int) -> bytes:
    """Read as ``sock.recv`` does, and keep the kernel's stamp for this thread."""
    if not _Process.wanted or type(sock) is not socket.socket:
        return sock.recv(max_bytes)
    data, notes, _, _ = sock.recvmsg(max_bytes, _SPACE)
    for level, kind, content in notes:
        if (level, kind) == (socket.SOL_SOCKET, _TIMESTAMPNS) and len(content) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(content)
            lain_ns = time.time_ns() - (seconds * 1_000_000_000 + nanoseconds)
            _latest.received_ns = time.perf_counter_ns() - max(lain_ns, 0)
    return data


def take() -> int | None:
    """Return when the kernel received what this thread read last, and forget it.

    In nanoseconds on the clock of the recorder (`time.perf_counter_ns`); None if there is no stamp.
    """
    received_ns, _latest.received_ns = _latest.received_ns, None
    return received_ns
