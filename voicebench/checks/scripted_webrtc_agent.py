"""A scripted agent behind WebRTC on loopback: an offer is posted, the sound is Opus.

It is aiortc as it comes, with its own encoder, decoder and jitter buffer, so it shares no code for
sound with the caller. What that adds is known (`RESPONSE_LATER_MS`).
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
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

from voicebench.agents import Agent
from voicebench.agents.opus_sound import LOOKAHEAD_MS, RATE
from voicebench.agents.webrtc_line import stay_on_loopback
from voicebench.audio.pcm import to_int16
from voicebench.calls.agent_events import (
    AgentAudio,
    AgentCleared,
    AgentEvent,
    AgentFailed,
    ReplyComplete,
)
from voicebench.checks.agent_wires import rtvi_message

if TYPE_CHECKING:
    from numpy.typing import NDArray

PATH = "/api/offer"
FRAME = RATE // 50
FRAME_S = 0.02
IDLE_S = 0.1
"""After so long without sound, the next frame goes at once."""
SILENCE = np.zeros(FRAME, dtype=np.int16)
END_S = 5.0
JITTER_BUFFER_MS = 80.0
"""aiortc keeps a packet until four more have come."""
RESPONSE_LATER_MS = JITTER_BUFFER_MS + 1000 * FRAME_S + LOOKAHEAD_MS
"""So much later than behind a WebSocket does its answer come. It hears the caller later. The codec
moves his last sound into one more frame, and so it moves the first of the answer."""


class AgentTrack(MediaStreamTrack):
    """The agent's sound in frames of 20 ms, in real time; nothing while it is silent."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        # The first one makes the encoder.
        self._frames: deque[NDArray[np.int16]] = deque([SILENCE])
        self._there = asyncio.Event()
        self._there.set()
        self.when_sent: Callable[[], None] | None = None
        """Called once, when all sound was sent."""
        self._left = np.zeros(0, dtype=np.int16)
        self._due_s = 0.0
        self._sent = 0

    def add(self, pcm: NDArray[np.int16]) -> None:
        """Take sound at 48 kHz."""
        whole = np.concatenate((self._left, pcm))
        for first in range(0, whole.size - FRAME + 1, FRAME):
            self._frames.append(whole[first : first + FRAME])
        self._left = whole[whole.size - whole.size % FRAME :]
        if self._frames:
            self._there.set()

    def clear(self) -> None:
        """Drop what was not sent."""
        self._frames.clear()
        self._frames.append(SILENCE)
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
        samples = self._frames.popleft()
        if not self._frames and samples is not SILENCE:
            # The end of a frame comes out of the codec with the next one.
            self._frames.append(SILENCE)
            if self.when_sent is not None:
                self.when_sent()
                self.when_sent = None
        elif not self._frames:
            self._there.clear()
        frame = AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, self._sent
        self._sent += FRAME
        return frame


class ScriptedWebRtcAgent:
    """Answers offers with calls of ``agent``; use its coroutines in one event loop."""

    def __init__(self, agent: Callable[[], Agent]) -> None:
        """``agent`` makes the agent of each call. Its rate must be 48 kHz, for both directions."""
        self._agent = agent
        self._loop = asyncio.get_running_loop()
        self._peers: list[RTCPeerConnection] = []
        self._work: set[asyncio.Task[None]] = set()

    async def answer(self, sdp: str) -> str:
        """Take an offer, and return the answer to it."""
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peers.append(peer)
        track = AgentTrack()
        channels: list[RTCDataChannel] = []
        heard: list[MediaStreamTrack] = []
        peer.on("datachannel", channels.append)
        peer.on("track", heard.append)
        peer.addTrack(track)
        stay_on_loopback(peer.getTransceivers()[0])
        await peer.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        await peer.setLocalDescription(await peer.createAnswer())

        def emit(event: AgentEvent) -> None:
            self._loop.call_soon_threadsafe(self._emit, event, peer, track, channels)

        task = self._loop.create_task(self._hear(heard[0], self._agent(), emit))
        self._work.add(task)
        return str(peer.localDescription.sdp)

    async def close(self) -> None:
        """Close all connections."""
        for peer in self._peers:
            await peer.close()
        await asyncio.gather(*self._work, return_exceptions=True)

    async def _hear(
        self, track: MediaStreamTrack, agent: Agent, emit: Callable[[AgentEvent], None]
    ) -> None:
        call = agent.open_call(emit)
        try:
            while True:
                frame: Any = await track.recv()
                # Both channels of stereo are the same.
                call.hear(frame.to_ndarray().reshape(-1)[::2])
        except MediaStreamError:
            pass
        finally:
            call.hang_up()
            agent.close()

    def _emit(
        self,
        event: AgentEvent,
        peer: RTCPeerConnection,
        track: AgentTrack,
        channels: list[RTCDataChannel],
    ) -> None:
        said = rtvi_message(event)
        if isinstance(event, AgentAudio):
            track.add(to_int16(event.pcm))
        elif isinstance(event, AgentFailed):
            self._work.add(self._loop.create_task(peer.close()))
        elif isinstance(event, ReplyComplete) and said is not None:
            track.when_sent = partial(_say, channels, said)
        elif said is not None:
            if isinstance(event, AgentCleared):
                track.clear()
            _say(channels, said)


def _say(channels: list[RTCDataChannel], said: str) -> None:
    if channels:
        channels[0].send(said)


@contextmanager
def answering_offers(agent: Callable[[], Agent]) -> Iterator[str]:
    """Take calls on loopback until the context ends; yields the URL of the offers."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="voicebench-agent", daemon=True)
    thread.start()

    async def made() -> ScriptedWebRtcAgent:
        return ScriptedWebRtcAgent(agent)

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
