"""The server's end of HTTP/2 without TLS on the loopback interface, for scripts of HTTP/1.1."""

from __future__ import annotations

from typing import Any

import h2.config
import h2.connection
import h2.events
from loopback import HttpRequest, Peer, Script


class Http2Peer(Peer):
    """One connection; its requests are answered one after the other, each on its stream."""

    def __init__(self, peer: Peer) -> None:
        super().__init__(peer.socket, peer._requests)
        self._connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self._connection.initiate_connection()
        self._flush()
        self._stream = 0
        self._asked: dict[int, HttpRequest] = {}
        self._whole: list[int] = []

    def request(self) -> HttpRequest:
        while not self._whole:
            self._read_frames()
        self._stream = self._whole.pop(0)
        request = self._asked.pop(self._stream)
        self._requests.append(request)
        return request

    def head(self, status: str = "200 OK", **headers: str) -> None:
        fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
        # How long the body is, HTTP/2 says by itself.
        kept = [field for field in fields if field[0] != "transfer-encoding"]
        code, _, _ = status.partition(" ")
        self._connection.send_headers(self._stream, [(":status", code), *kept])
        self._flush()

    def chunk(self, data: bytes) -> None:
        """Send a piece of the body; of no bytes: its end."""
        end = not data
        while True:
            window = self._connection.local_flow_control_window(self._stream)
            count = min(len(data), window, self._connection.max_outbound_frame_size)
            if data and not count:
                self._read_frames()
                continue
            piece, data = data[:count], data[count:]
            self._connection.send_data(self._stream, piece, end_stream=end)
            self._flush()
            if not data:
                return

    def _read_frames(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError
        for event in self._connection.receive_data(data):
            self._take(event)
        self._flush()

    def _take(self, event: Any) -> None:
        if isinstance(event, h2.events.RequestReceived):
            fields = {bytes(name).decode(): bytes(value).decode() for name, value in event.headers}
            method, target = fields[":method"], fields[":path"]
            self._asked[event.stream_id] = HttpRequest(method, target, fields, b"")
        elif isinstance(event, h2.events.DataReceived):
            self._asked[event.stream_id].body += event.data
            self._connection.acknowledge_received_data(
                event.flow_controlled_length, event.stream_id
            )
        elif isinstance(event, h2.events.StreamEnded):
            self._whole.append(event.stream_id)

    def _flush(self) -> None:
        if data := self._connection.data_to_send():
            self.send(data)


def over_http2(script: Script) -> Script:
    """Return ``script`` as a server of HTTP/2."""
    return lambda peer: script(Http2Peer(peer))
