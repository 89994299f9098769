"""What becomes of a caller's packets: drawn from the seed, within its bounds."""

from __future__ import annotations

from itertools import islice

from voicebench.calls.packet_way import PacketWay


def drawn(way: PacketWay, call: int = 1, count: int = 2000) -> list[float | None]:
    return list(islice(way.delays_s(call), count))


def test_the_same_seed_and_call_lose_the_same_packets() -> None:
    way = PacketWay(loss=0.1, jitter_ms=40.0, seed=7)
    assert drawn(way) == drawn(way)
    assert drawn(way) != drawn(way, call=2)
    assert drawn(way) != drawn(PacketWay(loss=0.1, jitter_ms=40.0, seed=8))


def test_as_many_are_lost_as_asked_for_and_no_delay_is_longer_than_the_jitter() -> None:
    found = drawn(PacketWay(loss=0.1, jitter_ms=40.0))
    delays = [delay for delay in found if delay is not None]
    assert 0.07 < 1 - len(delays) / len(found) < 0.13
    assert 0.035 < max(delays) <= 0.04
    assert min(delays) >= 0
    assert set(drawn(PacketWay(loss=0.0, jitter_ms=0.0))) == {0.0}
