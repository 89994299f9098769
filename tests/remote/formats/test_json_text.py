"""JSON from a peer, and text deltas that are whole letters."""

from __future__ import annotations

import pytest

from voicebench.remote.failure import RemoteError
from voicebench.remote.formats.json_text import (
    TextDeltas,
    count_at,
    has_all,
    json_bytes,
    json_object,
    part,
    text_at,
)


@pytest.mark.parametrize("text", ["", "{", "[1]", "3", '{"a": ' * 100_000, b"\xff\xfe{}"])
def test_what_is_no_json_object_is_an_error_that_shows_its_beginning(text: str | bytes) -> None:
    with pytest.raises(RemoteError, match=r"not (a JSON object|JSON)") as caught:
        json_object(text)
    assert caught.value.fault == "protocol"
    assert len(str(caught.value)) < 300


def test_json_is_short_and_in_utf8() -> None:
    value = {"text": "Grüße 🕰", "list": (1, 2.5, None, True), "table": {}}
    assert json_bytes(value) == '{"text":"Grüße 🕰","list":[1,2.5,null,true],"table":{}}'.encode()


def test_what_the_fast_library_refuses_is_written_and_read_too() -> None:
    huge = 1 << 70
    assert json_bytes({"seed": huge}) == b'{"seed":%d}' % huge
    assert json_object('{"half": "\\ud83d", "nan": NaN}')["half"] == "\ud83d"
    assert json_object('{"a": 1}'.encode("utf-16")) == {"a": 1}


def test_a_path_that_ends_early_holds_nothing() -> None:
    source = {"choices": [{"delta": {"content": "x"}}]}
    assert part(source, "choices", 0, "delta", "content") == "x"
    for path in (("choices", 1), ("choices", "0"), (0,), ("choices", 0, "delta", "content", "y")):
        assert part(source, *path) is None


def test_only_text_is_text_and_only_a_whole_number_from_zero_is_a_count() -> None:
    source = {"text": "x", "number": 3, "minus": -1, "real": 1.5, "true": True, "none": None}
    assert [text_at(source, key) for key in ("text", "number", "none")] == ["x", "", ""]
    assert [count_at(source, key) for key in source] == [None, 3, None, None, None, None]


def test_half_a_letter_is_held_back_until_its_other_half_comes() -> None:
    deltas = TextDeltas()
    assert [deltas.take("it is \ud83d"), deltas.take("\udd70 late")] == [
        "it is ",
        "🕰 late",
    ]
    deltas.finish()


def test_a_second_half_without_a_first_is_an_error() -> None:
    with pytest.raises(RemoteError, match="half a letter"):
        TextDeltas().take("\udd70")


def test_a_first_half_without_a_second_is_an_error() -> None:
    deltas = TextDeltas()
    deltas.take("\ud83d")
    with pytest.raises(RemoteError, match="half a letter"):
        deltas.take(" x")
    deltas = TextDeltas()
    deltas.take("\ud83d")
    with pytest.raises(RemoteError, match="half a letter"):
        deltas.finish()


def test_a_message_has_what_is_wanted_whatever_else_it_has() -> None:
    message = {"type": "done", "turn": 3}
    assert has_all(message, {"type": "done"})
    assert has_all(message, {})
    for wanted in ({"type": "audio"}, {"type": "done", "turn": 4}, {"type": "done", "who": "x"}):
        assert not has_all(message, wanted)
