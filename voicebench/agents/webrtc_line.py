"""The caller's end of a WebRTC connection: sound and messages both ways, in a thread of its own.

aiortc does ICE, DTLS and RTP. Its jitter buffer holds a packet until four more have come, 80 ms
later, which would be in every figure. So packets are taken as they arrive, before it
(`voicebench.agents.opus_sound`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from av import Packet

from voicebench.agents.opus_sound import OpusEncoder, OpusSound
from voicebench.agents.peer_loop import PeerLoop
from voicebench.agents.rough_way import RoughWay

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHANNEL = "chat"
PING_S = 1.0
LOOPBACK = "127.0.0.1"


class CallerTrack(MediaStreamTrack):
    """The caller's frames, encoded when they are sent. ``on_sent`` is called for each."""

    kind = "audio"

    def __init__(self, on_sent: Callable[[], None]) -> None:
        super().__init__()
        self._on_sent = on_sent
        self._frames: asyncio.Queue[NDArray[np.int16]] = asyncio.Queue()
        self._encoder = OpusEncoder()
        self._packets: list[Packet[Any]] = []

    def add(self, frame: NDArray[np.int16]) -> None:
        """Take a frame."""
        self._frames.put_nowait(frame)

    async def recv(self) -> Packet[Any]:
        """Return the packet of the next frame, once there is one."""
        while not self._packets:
            self._packets = self._encoder.packets(await self._frames.get())
            self._on_sent()
        return self._packets.pop(0)


class WebRtcLine:
    """One connection. All callbacks come from its thread.

    ``on_sound`` gets the agent's sound as float32 mono at 48 kHz, ``on_text`` the messages of the
    data channel, ``on_lost`` what the agent did (a verb and its object) when the call cannot go on.
    ``on_sent`` is called when a frame of the caller leaves.
    """

    def __init__(
        self,
        on_sound: Callable[[NDArray[np.float32]], None],
        on_text: Callable[[str], None],
        on_lost: Callable[[str], None],
        on_sent: Callable[[], None],
        *,
        loopback: bool,
        greeting: str,
        delays_s: Iterator[float | None] | None = None,
    ) -> None:
        """``loopback``: the agent is on this machine. ``greeting`` is the first message.

        ``delays_s`` has the delay of each packet of sound, None for one that is lost.
        """
        self._delays_s = delays_s
        self._on_sound, self._on_text, self._on_lost = on_sound, on_text, on_lost
        self._on_sent = on_sent
        self._loopback, self._greeting = loopback, greeting
        self._is_over = False
        self._thread = PeerLoop()
        self._loop = self._thread.loop
        self._pinging: asyncio.Task[None] | None = None

    def offer(self) -> str:
        """Return our session description."""
        return self._thread.run(self._offer(), None)

    def accept(self, sdp: str, timeout_s: float) -> None:
        """Take the agent's answer, and return when the connection stands.

        Raises `ValueError` for an answer that cannot be used, and `TimeoutError`.
        """
        self._thread.run(self._accept(sdp), timeout_s)

    def send(self, frame: NDArray[np.int16]) -> None:
        """Send 20 ms: int16 mono at 48 kHz, ``(960,)``. Returns at once."""
        if not self._is_over:
            self._loop.call_soon_threadsafe(self._track.add, frame)

    def close(self) -> None:
        """Close the data channel and the connection. May be called twice."""
        if not self._thread.is_closed:
            self._is_over = True
            self._thread.close(self._close())

    async def _offer(self) -> str:
        # No servers of others: those of the agent's network are of no use to a measurement.
        self._peer = RTCPeerConnection(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._peer.on("connectionstatechange", self._state_changed)
        self._connected: asyncio.Future[None] = self._loop.create_future()
        self._track = CallerTrack(self._on_sent)
        self._audio = self._peer.addTransceiver(self._track, direction="sendrecv")
        speak_opus(self._audio)
        tap(self._audio, self._take_sound, self._lose)
        if self._delays_s is not None:
            roughen(self._audio, self._delays_s)
        self._channel = self._peer.createDataChannel(CHANNEL, ordered=True)
        self._channel.on("open", self._greet)
        self._channel.on("message", self._take_text)
        if self._loopback:
            stay_on_loopback(self._audio)
        await self._peer.setLocalDescription(await self._peer.createOffer())
        return str(self._peer.localDescription.sdp)

    async def _accept(self, sdp: str) -> None:
        try:
            await self._peer.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        except Exception as error:  # whatever a parser makes of a stranger's text
            raise ValueError(f"answers with a description that cannot be used ({error})") from None
        if self._audio.currentDirection != "sendrecv":
            raise ValueError("answers that it takes or sends no sound")
        await self._connected

    def _take_sound(self, pcm: NDArray[np.float32]) -> None:
        if not self._is_over:
            self._on_sound(pcm)

    def _state_changed(self) -> None:
        state = self._peer.connectionState
        if state == "connected" and not self._connected.done():
            self._connected.set_result(None)
        elif state == "failed":
            self._lose("cannot be reached over WebRTC")
        elif state == "closed":
            self._lose("hung up in mid-turn")

    def _lose(self, reason: str) -> None:
        if self._is_over:
            return
        if not self._connected.done():
            self._connected.set_exception(ValueError(reason))
            return
        self._is_over = True
        self._on_lost(reason)

    def _greet(self) -> None:
        self._channel.send(self._greeting)
        self._pinging = self._loop.create_task(self._ping())

    async def _ping(self) -> None:
        """Say that we are there: an agent of Pipecat takes silence for a lost connection."""
        count = 0
        while self._channel.readyState == "open":
            self._channel.send(f"ping: {count}")
            count += 1
            await asyncio.sleep(PING_S)

    def _take_text(self, message: str | bytes) -> None:
        if isinstance(message, str) and not self._is_over:
            self._on_text(message)

    async def _close(self) -> None:
        if self._pinging is not None:
            self._pinging.cancel()
        if self._channel.readyState == "open":
            self._channel.close()
            await asyncio.sleep(0)  # so that its end is sent before the connection's
        await self._peer.close()


def speak_opus(audio: RTCRtpTransceiver) -> None:
    """Let a connection offer Opus, and no other codec."""
    codecs = RTCRtpSender.getCapabilities("audio").codecs
    audio.setCodecPreferences([one for one in codecs if one.mimeType == "audio/opus"])


def tap(
    audio: RTCRtpTransceiver,
    on_sound: Callable[[NDArray[np.float32]], None],
    on_bad: Callable[[str], None],
) -> None:
    """Take packets where aiortc's receiver would put them into its jitter buffer.

    ``on_bad`` gets what the agent did if a packet has no sound that could be played.
    """
    sound = OpusSound()

    async def take(packet: Any, arrival_time_ms: int) -> None:
        try:
            pcm = sound.take(packet.sequence_number, packet.payload, arrival_time_ms)
        except ValueError as error:
            on_bad(str(error))
            return
        if pcm.size:
            on_sound(pcm)

    audio.receiver._handle_rtp_packet = take  # type: ignore[method-assign]


def roughen(audio: RTCRtpTransceiver, delays_s: Iterator[float | None]) -> None:
    """Lose and delay packets of sound behind their encryption."""
    loop = asyncio.get_running_loop()
    way = audio.sender.transport.transport
    send = way._send
    under_way: set[asyncio.Task[None]] = set()

    async def sent(packet: bytes) -> None:
        """Send it; a connection that was closed meanwhile loses it."""
        with contextlib.suppress(ConnectionError):
            await send(packet)

    def begin(packet: bytes) -> None:
        task = loop.create_task(sent(packet))
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    def later(delay_s: float, packet: bytes) -> None:
        loop.call_later(delay_s, begin, packet)

    way._send = RoughWay(send, delays_s, later)  # type: ignore[assignment]


def stay_on_loopback(audio: RTCRtpTransceiver) -> None:
    """Let a connection offer the loopback address, which ICE leaves out, and no other.

    So an agent on this machine is reached without a network, and nothing leaves the machine.
    """
    connection = audio.sender.transport.transport.iceGatherer._connection
    gather = connection.get_component_candidates

    async def on_loopback(**named: Any) -> Any:
        return await gather(**named | {"addresses": [LOOPBACK]})

    connection.get_component_candidates = on_loopback  # type: ignore[method-assign,assignment]
