"""A TCP proxy that makes faults: it passes bytes on, and breaks or holds a connection on request.

It listens on loopback, once for each server, and once for requests. A request is a line of JSON,
``{"port": 40001, "kind": "slow", "held_s": 0.4}``: the fault for the connection that comes from
this port of the client. The answer, a line too, says whether there is such a connection, before
anything happens to it. The program ends when its standard input is closed.

    python -m voicebench.load.faults.fault_proxy '{"listeners": [[5, "127.0.0.1", 8765]], …}'
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

READ_BYTES = 65_536
MOST_REQUEST_BYTES = 1000
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends a reset."""


@dataclass(eq=False)
class _Passage:
    """One connection of a client, and the one to the server that belongs to it."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    held_until: float = 0.0
    """On the loop's clock: the server's bytes are not passed on before."""
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def reset(self) -> None:
        """Reset both connections."""
        for end in (self.client, self.server):
            sock = end.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            end.transport.abort()


class FaultProxy:
    """Passes bytes between clients and servers, in one event loop."""

    def __init__(self) -> None:
        self._passages: dict[int, _Passage] = {}

    async def serve(
        self, listeners: Sequence[tuple[socket.socket, str, int]], requests: socket.socket
    ) -> None:
        """Serve until standard input is closed."""
        for listener, host, port in listeners:
            await asyncio.start_server(_to(self._pass, host, port), sock=listener)
        await asyncio.start_server(self._answer, sock=requests)
        closed = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(0, closed.set)
        await closed.wait()
        loop.remove_reader(0)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int
    ) -> None:
        """Pass one connection on until either end closes it."""
        try:
            from_server, to_server = await asyncio.open_connection(host, port)
        except OSError:
            writer.transport.abort()  # a server that refuses is refused here too
            return
        for end in (writer, to_server):
            end.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = int(writer.get_extra_info("peername")[1])
        passage = _Passage(writer, to_server)
        self._passages[number] = passage
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(reader, to_server, None))
                both.create_task(_pump(from_server, writer, passage))
        except* OSError:
            pass
        finally:
            self._passages.pop(number, None)
            for end in (writer, to_server):
                end.transport.abort() if end.transport.is_closing() else end.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Make the faults that one client asks for."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            while line := await reader.readline():
                if len(line) > MOST_REQUEST_BYTES:
                    break
                wanted = json.loads(line)
                passage = self._passages.get(int(wanted["port"]))
                writer.write(json.dumps({"found": passage is not None}).encode() + b"\n")
                await writer.drain()
                if passage is not None and wanted["kind"] == "reset":
                    passage.reset()
                elif passage is not None:
                    now = asyncio.get_running_loop().time()
                    passage.held_until = now + float(wanted["held_s"])
        writer.close()


def _to(pass_on, host: str, port: int):  # type: ignore[no-untyped-def]
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.CancelledError):  # the proxy ends
            await pass_on(reader, writer, host, port)

    return connected


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, held: _Passage | None
) -> None:
    """Pass bytes on until the end of ``reader``, and then the end; hold them back if asked to."""
    loop = asyncio.get_running_loop()
    while data := await reader.read(READ_BYTES):
        while held is not None and (left_s := held.held_until - loop.time()) > 0:
            await asyncio.sleep(left_s)
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


def _main(arguments: str) -> None:
    given = json.loads(arguments)
    listeners = [(socket.socket(fileno=fd), host, port) for fd, host, port in given["listeners"]]
    asyncio.run(FaultProxy().serve(listeners, socket.socket(fileno=given["requests"])))


if __name__ == "__main__":
    _main(sys.argv[1])
