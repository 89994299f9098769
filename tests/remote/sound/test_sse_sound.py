"""Sound in base64: decoded piece by piece, so that a long one is in hand with its first piece."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebench.remote.failure import RemoteError
from voicebench.remote.sound.sse_sound import BASE64_PIECE, decode_base64

PIECE_BYTES = BASE64_PIECE // 4 * 3


@pytest.mark.parametrize("length", [0, 1, 2, 3, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1])
def test_the_pieces_are_all_of_the_bytes(length: int) -> None:
    data = bytes(range(251)) * (length // 251 + 1)
    assert b"".join(decode_base64(base64.b64encode(data[:length]).decode())) == data[:length]


def test_the_first_piece_of_a_long_text_is_there_before_the_rest_is_looked_at() -> None:
    text = base64.b64encode(bytes(2 * PIECE_BYTES)).decode() + "?"
    pieces = decode_base64(text)
    assert next(pieces) == bytes(PIECE_BYTES)
    with pytest.raises(RemoteError, match="not base64"):
        list(pieces)


@given(st.text("AQ=?/\n", max_size=9), st.booleans(), st.booleans())
def test_no_piece_takes_what_the_whole_would_refuse(text: str, long: bool, first: bool) -> None:
    rest = "A" * BASE64_PIECE * long
    whole = text + rest if first else rest + text
    try:
        taken = b"".join(decode_base64(whole))
    except RemoteError:
        return
    assert taken == base64.b64decode(whole, validate=True)


def test_padding_in_the_middle_is_refused_where_a_piece_ends_too() -> None:
    with pytest.raises(RemoteError, match="not base64"):
        list(decode_base64("A" * (BASE64_PIECE - 1) + "=" + "AAAA"))
