"""The heads of frames: whether a message has begun that is not whole, however its bytes come."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from voicebench.remote.connection.frame_heads import FrameHeads

LENGTHS = (0, 1, 5, 125, 126, 127, 65_535, 65_536)


def on_the_wire(opcode: Opcode, length: int, *, fin: bool = True) -> bytes:
    return Frame(opcode, bytes(length), fin).serialize(mask=False)


@pytest.mark.parametrize("length", [1, 126, 65_536])
@pytest.mark.parametrize("kind", ["text", "binary"])
def test_a_message_has_begun_with_its_first_byte_and_is_over_with_its_last(
    kind: str, length: int
) -> None:
    raw = on_the_wire(Opcode.TEXT if kind == "text" else Opcode.BINARY, length)
    head = len(raw) - length
    heads = FrameHeads()
    heads.feed(raw[:head])
    assert heads.begun is None
    heads.feed(raw[head : head + 1])
    assert heads.begun == (None if length == 1 else kind)
    heads.feed(raw[head + 1 :])
    assert heads.begun is None


def test_a_fragmented_message_is_under_way_until_its_last_fragment_with_pings_between() -> None:
    heads = FrameHeads()
    heads.feed(on_the_wire(Opcode.BINARY, 0, fin=False))
    assert heads.begun is None  # nothing of it is in hand
    heads.feed(on_the_wire(Opcode.CONT, 3, fin=False))
    assert heads.begun == "binary"
    heads.feed(on_the_wire(Opcode.PING, 4))
    assert heads.begun == "binary"
    heads.feed(on_the_wire(Opcode.CONT, 0))
    assert heads.begun is None
    heads.feed(on_the_wire(Opcode.PING, 4)[:3])
    assert heads.begun is None


FRAMES = st.lists(
    st.tuples(st.sampled_from([Opcode.TEXT, Opcode.BINARY]), st.sampled_from(LENGTHS))
    | st.tuples(st.just(Opcode.PING), st.sampled_from([0, 4, 125])),
    max_size=6,
)


@given(FRAMES, st.lists(st.integers(0, 600) | st.integers(0, 200_000), max_size=8))
def test_however_the_bytes_are_cut_the_frames_are_followed(
    frames: list[tuple[Opcode, int]], cuts: list[int]
) -> None:
    raws = [on_the_wire(opcode, length) for opcode, length in frames]
    stream = b"".join(raws)
    heads = FrameHeads()
    for begin, end in pairwise([0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]):
        heads.feed(stream[begin:end])
        assert heads.begun == begun_at(end, frames, raws)


def begun_at(end: int, frames: list[tuple[Opcode, int]], raws: list[bytes]) -> str | None:
    """Return what is under way when ``end`` bytes of unfragmented frames are in hand."""
    kinds = {Opcode.TEXT: "text", Opcode.BINARY: "binary"}
    for (opcode, length), raw in zip(frames, raws, strict=True):
        if end < len(raw):
            return kinds.get(opcode) if end > len(raw) - length else None
        end -= len(raw)
    return None
