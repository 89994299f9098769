"""Packet loss and jitter on the way to an agent behind WebRTC.

A packet of sound has its number already when it is dropped here, so the agent sees the gap as it
would behind a bad line. Messages and reports about the sound pass unchanged.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

Send = Callable[[bytes], Awaitable[None]]


class RoughWay:
    """Stands before ``send``; ``later`` sends a packet after a delay in seconds."""

    def __init__(
        self,
        send: Send,
        delays_s: Iterator[float | None],
        later: Callable[[float, bytes], None],
    ) -> None:
        self._send = send
        self._delays_s = delays_s
        self._later = later

    async def __call__(self, packet: bytes) -> None:
        """Send a packet, now or later or never."""
        delay_s = next(self._delays_s) if is_sound(packet) else 0.0
        if delay_s is None:
            return
        if delay_s:
            self._later(delay_s, packet)
        else:
            await self._send(packet)


def is_sound(packet: bytes) -> bool:
    """Return whether a packet is RTP (RFC 5761, RFC 7983), and no report, message or handshake."""
    return len(packet) >= 2 and 128 <= packet[0] < 192 and not 192 <= packet[1] <= 223
