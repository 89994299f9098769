"""The agent's end of a WebSocket: messages with the moment at which the system received them.

The `websockets` package speaks the protocol (RFC 6455), by its part that does no I/O. So a message
passes from the system to the agent in one thread, and a scripted agent knows when it really came.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from voicebench.remote.connection import kernel_stamps

if TYPE_CHECKING:
    from websockets.server import ServerProtocol

READ_BYTES = 65_536
# The library's own messages belong to nobody's terminal.
_SILENT = logging.Logger("voicebench.agent", level=logging.CRITICAL)


class AgentLine:
    """One accepted connection. One thread reads; any thread sends."""

    def __init__(self, connection: socket.socket) -> None:
        from websockets.server import ServerProtocol

        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        kernel_stamps.ask(connection)
        self._connection = connection
        self._protocol: ServerProtocol = ServerProtocol(max_size=None, logger=_SILENT)
        self._lock = threading.Lock()

    def messages(self) -> Iterator[tuple[str | bytes, int]]:
        """Yield each message, and when the system received it, until the caller hangs up.

        In nanoseconds of `time.perf_counter_ns`. Where the system does not say it, it is the moment
        at which the message was read.
        """
        from websockets.frames import Frame, Opcode
        from websockets.http11 import Request

        with contextlib.suppress(OSError):
            while data := kernel_stamps.receive(self._connection, READ_BYTES):
                at_ns = kernel_stamps.take() or time.perf_counter_ns()
                with self._lock:
                    self._protocol.receive_data(data)
                    events = self._protocol.events_received()
                    for event in events:
                        if isinstance(event, Request):
                            self._protocol.send_response(self._protocol.accept(event))
                    self._flush()
                for event in events:
                    if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                        yield bytes(event.data).decode(), at_ns
                    elif isinstance(event, Frame) and event.opcode is Opcode.BINARY:
                        yield bytes(event.data), at_ns

    def send(self, messages: Iterable[str | bytes]) -> int:
        """Send messages, and return the moment before the first of them was given to the system.

        To a caller who has hung up, nothing is sent.
        """
        from websockets.exceptions import InvalidState

        with self._lock:
            with contextlib.suppress(InvalidState):
                for message in messages:
                    if isinstance(message, str):
                        self._protocol.send_text(message.encode())
                    else:
                        self._protocol.send_binary(message)
            sent_ns = time.perf_counter_ns()
            self._flush()
        return sent_ns

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _flush(self) -> None:
        content = b"".join(self._protocol.data_to_send())
        if content:
            with contextlib.suppress(OSError):  # the next read says that the caller is gone
                self._connection.sendall(content)
