"""Which packets are lost or late on the way to an agent behind WebRTC."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from voicebench.agents.rough_way import RoughWay, is_sound

SOUND = bytes([128, 96, 0, 1])
REPORT = bytes([128, 200, 0, 1])
HANDSHAKE = bytes([22, 254, 253])


@pytest.mark.parametrize(
    ("packet", "sound"),
    [
        (SOUND, True),
        (bytes([144, 0x80 | 111, 0, 1]), True),  # with its marker and an extension
        (REPORT, False),
        (HANDSHAKE, False),
        (b"\x00\x01", False),  # STUN
        (b"", False),
    ],
)
def test_sound_is_told_from_all_else(packet: bytes, sound: bool) -> None:
    assert is_sound(packet) is sound


def test_a_packet_is_sent_now_or_later_or_never_and_all_else_at_once() -> None:
    sent: list[bytes] = []
    later: list[tuple[float, bytes]] = []

    async def send(packet: bytes) -> None:
        sent.append(packet)

    async def passed(packets: Sequence[bytes]) -> None:
        way = RoughWay(send, iter([0.0, None, 0.03]), lambda *late: later.append(late))
        for packet in packets:
            await way(packet)

    first, lost, late = (SOUND + bytes([number]) for number in range(3))
    asyncio.run(passed([HANDSHAKE, first, REPORT, lost, late]))
    assert sent == [HANDSHAKE, first, REPORT]
    assert later == [(0.03, late)]
