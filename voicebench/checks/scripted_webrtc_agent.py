"""A scripted agent behind WebRTC on loopback: an offer is posted, the sound is Opus.

It is aiortc as it comes, with its own encoder, decoder and jitter buffer, so it shares no code for
sound with the caller. What that adds is known (`RESPONSE_LATER_MS`).
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame

from voicebench.agents.opus_sound import LOOKAHEAD_MS, RATE
from voicebench.agents.rough_way import is_sound
from voicebench.agents.webrtc_line import stay_on_loopback
from voicebench.audio.pcm import to_int16
from voicebench.calls.agent_events import (
    AgentAudio,
    AgentCleared,
    AgentEvent,
    AgentFailed,
    ReplyComplete,
)
from voicebench.checks.agent_acts import ActKind, ActsOfCall, TakeActs
from voicebench.checks.agent_wires import rtvi_message

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebench.checks.timed_agent import TimedAgent

PATH = "/api/offer"
FRAME = RATE // 50
FRAME_S = 0.02
IDLE_S = 0.1
"""After so long without sound, the next frame goes at once."""
SILENCE = np.zeros(FRAME, dtype=np.int16)
END_S = 5.0
JITTER_BUFFER_MS = 80.0
"""aiortc keeps a packet until four more have come."""
JITTER_BUFFER_NS = round(JITTER_BUFFER_MS * 1e6)
MOST_NOTED = 64
"""Packets whose arrival is kept: more than the jitter buffer holds."""
RESPONSE_LATER_MS = JITTER_BUFFER_MS + 1000 * FRAME_S + LOOKAHEAD_MS
"""So much later than behind a WebSocket does its answer come. It hears the caller later. The codec
moves his last sound into one more frame, and so it moves the first of the answer."""


class AgentTrack(MediaStreamTrack):
    """The agent's sound in frames of 20 ms, in real time; nothing while it is silent."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        # The first one makes the encoder.
        self._frames: deque[tuple[NDArray[np.int16], int | None]] = deque([(SILENCE, None)])
        self._there = asyncio.Event()
        self._there.set()
        self.when_sent: Callable[[], None] | None = None
        """Called once, when all sound was sent."""
        self.leaving_ns: int | None = None
        """When the answer was due whose first frame was returned last; None for other frames."""
        self._left = np.zeros(0, dtype=np.int16)
        self._due_s = 0.0
        self._sent = 0

    def add(self, pcm: NDArray[np.int16], due_ns: int | None = None) -> None:
        """Take sound at 48 kHz; if an answer begins with it, ``due_ns`` is when it was due."""
        whole = np.concatenate((self._left, pcm))
        for first in range(0, whole.size - FRAME + 1, FRAME):
            self._frames.append((whole[first : first + FRAME], None if first else due_ns))
        self._left = whole[whole.size - whole.size % FRAME :]
        if self._frames:
            self._there.set()

    def clear(self) -> None:
        """Drop what was not sent."""
        self._frames.clear()
        self._frames.append((SILENCE, None))
        self._left = self._left[:0]
        self.when_sent = None

    async def recv(self) -> AudioFrame:
        """Return the next frame when it is due."""
        clock = asyncio.get_running_loop()
        while True:
            await self._there.wait()
            await asyncio.sleep(max(0.0, self._due_s - clock.time()))
            if self._frames:
                break
        was_idle = clock.time() - self._due_s > IDLE_S
        self._due_s = (clock.time() if was_idle else self._due_s) + FRAME_S
        samples, self.leaving_ns = self._frames.popleft()
        if not self._frames and samples is not SILENCE:
            # The end of a frame comes out of the codec with the next one.
            self._frames.append((SILENCE, None))
            if self.when_sent is not None:
                self.when_sent()
                self.when_sent = None
        elif not self._frames:
            self._there.clear()
        frame = AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, self._sent
        self._sent += FRAME
        return frame


class PacketArrivals:
    """When the packets of the caller's sound came, before aiortc takes them apart."""

    def __init__(self, transport: Any) -> None:
        """``transport`` is aiortc's ICE transport."""
        self._came_ns: dict[int, int] = {}
        """The moments of the latest packets, by their RTP timestamps."""
        connection = transport.iceGatherer._connection
        take = connection.data_received

        def noting(data: bytes, component: int) -> None:
            if is_sound(data):
                if len(self._came_ns) >= MOST_NOTED:
                    del self._came_ns[next(iter(self._came_ns))]
                # (RFC 3550, section 5.1.) It is not encrypted.
                self._came_ns[int.from_bytes(data[4:8], "big")] = time.perf_counter_ns()
            take(data, component)

        connection.data_received = noting

    def heard_ns(self, timestamp: int) -> int | None:
        """Return when the agent hears the packet with this RTP timestamp, behind its buffer."""
        came_ns = self._came_ns.pop(timestamp, None)
        return None if came_ns is None else came_ns + JITTER_BUFFER_NS


def note_departures(transport: Any, track: AgentTrack, acts: ActsOfCall) -> None:
    """Note when the first packet of each answer leaves over aiortc's ICE transport."""
    send = transport._send

    async def noting(data: bytes) -> None:
        due_ns = track.leaving_ns
        if due_ns is not None and is_sound(data):
            track.leaving_ns = None
            acts.add("answer", due_ns, time.perf_counter_ns())
        await send(data)

    transport._send = noting


class AnsweredPeer:
    """The agent's end of one connection."""

    def __init__(self, peer: RTCPeerConnection) -> None:
        self.peer = peer
        self.track = AgentTrack()
        self.channels: list[RTCDataChannel] = []
        self.heard: list[MediaStreamTrack] = []
        self.acts = ActsOfCall()
        peer.on("datachannel", self.channels.append)
        peer.on("track", self.heard.append)
        peer.addTrack(self.track)
        transport = peer.getTransceivers()[0].sender.transport.transport
        self.arrivals = PacketArrivals(transport)
        note_departures(transport, self.track, self.acts)


class ScriptedWebRtcAgent:
    """Answers offers with calls of ``agent``; use its coroutines in one event loop."""

    def __init__(self, agent: Callable[[], TimedAgent], took: TakeActs) -> None:
        """``agent`` makes the agent of each call. Its rate must be 48 kHz, for both directions."""
        self._agent = agent
        self._took = took
        self._loop = asyncio.get_running_loop()
        self._peers: list[RTCPeerConnection] = []
        self._work: set[asyncio.Task[None]] = set()

    async def answer(self, sdp: str) -> str:
        """Take an offer, and return the answer to it."""
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peers.append(peer)
        answered = AnsweredPeer(peer)
        stay_on_loopback(peer.getTransceivers()[0])
        await peer.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        self._keep(self._hear(answered, self._agent()))
        return str(peer.localDescription.sdp)

    async def close(self) -> None:
        """Close all connections."""
        for peer in self._peers:
            await peer.close()
        await asyncio.gather(*self._work, return_exceptions=True)

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        self._work.add(self._loop.create_task(work))

    async def _hear(self, answered: AnsweredPeer, agent: TimedAgent) -> None:
        def emit(event: AgentEvent) -> None:
            kind = answered.acts.act_of(event)
            self._loop.call_soon_threadsafe(self._emit, event, answered, kind, agent.due_ns)

        call = agent.open_call(emit)
        try:
            while True:
                frame: Any = await answered.heard[0].recv()
                # Both channels of stereo are the same.
                samples = frame.to_ndarray().reshape(-1)[::2]
                call.hear(samples, answered.arrivals.heard_ns(frame.pts))
        except MediaStreamError:
            pass
        finally:
            call.hang_up()
            agent.close()
            self._took(answered.acts.done)

    def _emit(
        self, event: AgentEvent, answered: AnsweredPeer, kind: ActKind | None, due_ns: int
    ) -> None:
        said, track, channels = rtvi_message(event), answered.track, answered.channels
        if isinstance(event, AgentAudio):
            track.add(to_int16(event.pcm), due_ns if kind == "answer" else None)
        elif isinstance(event, AgentFailed):
            self._keep(answered.peer.close())
        elif isinstance(event, ReplyComplete) and said is not None:
            track.when_sent = partial(_say, channels, said)
        elif said is not None:
            if isinstance(event, AgentCleared):
                track.clear()
                answered.acts.add(kind, due_ns, time.perf_counter_ns())
            _say(channels, said)


def _say(channels: list[RTCDataChannel], said: str) -> None:
    if channels:
        channels[0].send(said)


@contextmanager
def answering_offers(
    agent: Callable[[], TimedAgent], took: TakeActs = lambda _acts: None
) -> Iterator[str]:
    """Take calls on loopback until the context ends; yields the URL of the offers.

    ``agent`` makes the agent of each call, and ``took`` gets its acts when the call has ended.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="voicebench-agent", daemon=True)
    thread.start()

    async def made() -> ScriptedWebRtcAgent:
        return ScriptedWebRtcAgent(agent, took)

    scripted = asyncio.run_coroutine_threadsafe(made(), loop).result(END_S)

    class Offers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", "0"))
            offer = json.loads(self.rfile.read(length))
            answered = asyncio.run_coroutine_threadsafe(scripted.answer(offer["sdp"]), loop)
            said = json.dumps({"sdp": answered.result(END_S), "type": "answer", "pc_id": "1"})
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the terminal is not this server's."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Offers)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{PATH}"
    finally:
        server.shutdown()
        server.server_close()
        serving.join(END_S)
        asyncio.run_coroutine_threadsafe(scripted.close(), loop).result(END_S)
        asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result(END_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(END_S)
        loop.close()
