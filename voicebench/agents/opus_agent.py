"""The common part of the agents that are reached over WebRTC: their packets, and what they say."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Iterator

from voicebench.agents.opus_sound import LOOKAHEAD_MS, RATE
from voicebench.calls.packet_way import PacketWay
from voicebench.remote.connection.peer import Peer


class OpusAgent:
    """An agent whose sound comes and goes in packets of Opus, at 48 kHz."""

    sample_rate = RATE

    def __init__(self) -> None:
        self.packets = PacketWay()
        self._calls = itertools.count(1)

    def _next_delays_s(self) -> Iterator[float | None] | None:
        """Return the delays of the next call's packets, in seconds; None for a clean line."""
        return None if self.packets.is_clean else self.packets.delays_s(next(self._calls))

    def _described(self, name: str, peer: Peer) -> dict[str, object]:
        """Return what a reader of the results must know."""
        return {
            "agent": name,
            "url": peer.shown_url,
            "sample_rate": RATE,
            "codec": "opus",
            "codec_delay_ms": LOOKAHEAD_MS,
            "jitter_buffer_ms": 0,
            "packet_loss": self.packets.loss,
            "packet_jitter_ms": self.packets.jitter_ms,
        } | peer.access.describe()


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
