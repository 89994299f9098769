"""A scripted agent for a hundred callers: PCM over WebSockets, one thread, one core.

It answers `ANSWER_S` after the last frame of a caller that is not silent (all zeros), with sound of
`SPEECH_S`, in pieces of 100 ms, in real time. The usual scripted agent has two threads for each
call and does not keep up with the 5,000 frames a second that a hundred callers send.

Its answer may be late, and then it says so: behind the first piece it sends, as the transcript, how
many nanoseconds passed from the moment at which the system received that last frame to the moment
at which the piece was handed to the system. So its own lateness can be told from the caller's
error.
"""

from __future__ import annotations

import base64
import gc
import hashlib
import heapq
import json
import os
import selectors
import socket
import struct
import time
from contextlib import suppress
from multiprocessing.connection import Connection

from voicebench.audio.pcm import to_int16
from voicebench.audio.synthetic_voice import synthetic_voice
from voicebench.remote.connection import kernel_stamps

RATE = 16_000
ANSWER_S = 0.27
SPEECH_S = 2.0
PIECE_S = 0.1
NS_PER_S = 1_000_000_000
ANSWER_NS, PIECE_NS = round(ANSWER_S * NS_PER_S), round(PIECE_S * NS_PER_S)
TEXT, BINARY = 1, 2
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


class Caller:
    """One connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.received = b""
        self.is_open = False
        self.heard_ns = 0
        """When the frame arrived that is answered now."""
        self.voiced_ns = 0
        """When the latest voiced frame arrived; 0 if an answer to it is due."""
        self.answer = 0


def serve(core: int, ready: Connection) -> None:
    """Serve until the process ends; ``ready`` gets the port."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    kernel_stamps.want()
    voice = to_int16(synthetic_voice(round(SPEECH_S * RATE), round(0.8 * RATE))).astype("<i2")
    size = round(PIECE_S * RATE)
    pieces = [framed(voice[first : first + size].tobytes()) for first in range(0, voice.size, size)]
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    selector = selectors.DefaultSelector()
    selector.register(listening, selectors.EVENT_READ, None)
    due: list[tuple[int, int, Caller, int, int]] = []
    ready.send(listening.getsockname()[1])
    count = 0
    gc.freeze()
    gc.disable()
    while True:
        left_ns = due[0][0] - time.perf_counter_ns() if due else NS_PER_S
        for key, _ in selector.select(max(left_ns, 0) / NS_PER_S):
            if key.data is None:
                connection, _ = listening.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                kernel_stamps.ask(connection)
                selector.register(connection, selectors.EVENT_READ, Caller(connection))
                continue
            caller: Caller = key.data
            if not heard(caller):
                selector.unregister(caller.connection)
                caller.connection.close()
                caller.answer = -1
            elif caller.voiced_ns:
                caller.answer += 1
                caller.heard_ns, caller.voiced_ns = caller.voiced_ns, 0
                count += 1
                at_ns = caller.heard_ns + ANSWER_NS
                heapq.heappush(due, (at_ns, count, caller, caller.answer, 0))
        now_ns = time.perf_counter_ns()
        while due and due[0][0] <= now_ns:
            at_ns, _, caller, answer, piece = heapq.heappop(due)
            if answer != caller.answer:
                continue
            with suppress(OSError):
                sent_ns = time.perf_counter_ns()
                caller.connection.send(pieces[piece])
                if piece == 0:
                    took = str(sent_ns - caller.heard_ns)
                    said = json.dumps({"type": "transcript", "text": took})
                    caller.connection.send(framed(said.encode(), TEXT))
            if piece + 1 < len(pieces):
                count += 1
                heapq.heappush(due, (at_ns + PIECE_NS, count, caller, answer, piece + 1))


def framed(payload: bytes, kind: int = BINARY) -> bytes:
    """Return a message of a server (RFC 6455, section 5.2)."""
    size, first = len(payload), 0x80 | kind
    head = struct.pack("!BB", first, size) if size < 126 else struct.pack("!BBH", first, 126, size)
    return head + payload


def heard(caller: Caller) -> bool:
    """Read what is there; return whether the caller is still connected."""
    try:
        new = kernel_stamps.receive(caller.connection, 65_536)
    except OSError:
        return False
    if not new:
        return False
    # Several frames in one read have the moment of the last one.
    at_ns = kernel_stamps.take() or time.perf_counter_ns()
    content = caller.received + new
    if not caller.is_open:
        if b"\r\n\r\n" not in content:
            caller.received = content
            return True
        head, content = content.split(b"\r\n\r\n", 1)
        lines = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
        keys = {name.strip().lower(): value.strip() for name, _, value in lines}
        accept = base64.b64encode(hashlib.sha1(keys[b"sec-websocket-key"] + GUID).digest())
        caller.connection.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        caller.is_open = True
    while len(content) >= 8:
        size, first = content[1] & 0x7F, 2
        if size == 126:
            size, first = int.from_bytes(content[2:4], "big"), 4
        end = first + 4 + size
        if len(content) < end:
            break
        if content[0] & 0x0F == 2:
            # Silence is all zeros, so its masked bytes are the mask, again and again.
            if content[first + 4 : end] != content[first : first + 4] * (size // 4):
                caller.voiced_ns = at_ns
        elif content[0] & 0x0F == 8:
            return False
        content = content[end:]
    caller.received = content
    return True
