"""One of the two connections of WebRTC that a caller has with a server of LiveKit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDtlsTransport,
    RTCIceCandidate,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.sdp import candidate_from_sdp
from livekit.protocol.rtc import SessionDescription

from voicebench.agents.webrtc_line import LOOPBACK

MOST_CANDIDATES = 100


class RoomPeer:
    """One of the two connections, whose descriptions and candidates come apart from each other."""

    def __init__(self, *, loopback: bool, on_state: Callable[[str], None]) -> None:
        """``loopback``: the server is on this machine. ``on_state`` gets aiortc's names."""
        # No servers of others: those of the agent's network are of no use to a measurement.
        self.connection = RTCPeerConnection(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self.negotiating = asyncio.Lock()
        self._loopback = loopback
        self._on_state = on_state
        self._connected = asyncio.Event()
        self._reachable = asyncio.Event()
        self._is_described = False
        self._early: list[RTCIceCandidate] = []
        self._candidates = 0
        self._tapped: set[int] = set()
        self.connection.on("connectionstatechange", self._state_changed)

    @property
    def is_connected(self) -> bool:
        """Whether packets can be sent and received."""
        return self._connected.is_set()

    @property
    def has_audio(self) -> bool:
        """Whether sound comes this way."""
        return bool(self._tapped)

    async def describe(self, theirs: SessionDescription) -> None:
        """Take a description of the server. Raises `ValueError` for one that cannot be used.

        aiortc begins to connect when it has one, and gives up if no candidate is known by then. And
        a second one while it connects would confuse it. So both are waited for.
        """
        if " udp " in theirs.sdp.lower().partition("a=candidate:")[2]:
            self._reachable.set()
        await self._reachable.wait()
        if self._is_described:
            await self._connected.wait()
        try:
            await self.connection.setRemoteDescription(
                RTCSessionDescription(theirs.sdp, theirs.type)
            )
        except Exception as error:  # whatever a parser makes of a stranger's text
            raise ValueError(f"sends a description that cannot be used ({error})") from None
        self._is_described = True
        early, self._early = self._early, []
        for candidate in early:
            await self.connection.addIceCandidate(candidate)

    async def describe_here(self, kind: str) -> SessionDescription:
        """Return our description, an ``offer`` or an ``answer``, with all our candidates."""
        made = self.connection.createOffer if kind == "offer" else self.connection.createAnswer
        description = await made()
        if self._loopback:
            for transport in self._transports():
                _add_loopback(transport)
        await self.connection.setLocalDescription(description)
        return SessionDescription(type=kind, sdp=self.connection.localDescription.sdp)

    async def add(self, candidate: RTCIceCandidate) -> None:
        """Take a way to the server."""
        self._candidates += 1
        if self._candidates > MOST_CANDIDATES:
            return
        if self._is_described:
            await self.connection.addIceCandidate(candidate)
        else:
            self._early.append(candidate)
            self._reachable.set()

    def new_audio(self) -> Iterator[Any]:
        """Yield the places of sound that are new in the last description."""
        for transceiver in self.connection.getTransceivers():
            if transceiver.kind == "audio" and id(transceiver) not in self._tapped:
                self._tapped.add(id(transceiver))
                yield transceiver

    def _transports(self) -> Iterator[RTCDtlsTransport]:
        for transceiver in self.connection.getTransceivers():
            yield transceiver.receiver.transport
        if self.connection.sctp is not None:
            yield self.connection.sctp.transport

    def _state_changed(self) -> None:
        state = self.connection.connectionState
        if state == "connected":
            self._connected.set()
        self._on_state(state)


def candidate_in(text: str) -> RTCIceCandidate | None:
    """Return the way to the server in a message; None for one that we cannot go."""
    try:
        found: Mapping[str, object] = json.loads(text)
        candidate = candidate_from_sdp(str(found["candidate"]).removeprefix("candidate:"))
        index = found.get("sdpMLineIndex")
        candidate.sdpMLineIndex = index if isinstance(index, int) else 0
        candidate.sdpMid = str(found.get("sdpMid") or "")
    except Exception:  # whatever a parser makes of a stranger's text
        return None
    return candidate if candidate.protocol.lower() == "udp" else None


def _add_loopback(transport: RTCDtlsTransport) -> None:
    """Let a connection offer the loopback address too, which ICE leaves out.

    A server on this machine may be at that address or at another one of the machine.
    """
    connection = transport.transport.iceGatherer._connection
    gather = connection.get_component_candidates
    if getattr(gather, "has_loopback", False):
        return

    async def with_loopback(**named: Any) -> Any:
        return await gather(**named | {"addresses": [*named["addresses"], LOOPBACK]})

    with_loopback.has_loopback = True  # type: ignore[attr-defined]
    connection.get_component_candidates = with_loopback  # type: ignore[method-assign,assignment]
