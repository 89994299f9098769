"""The words of a speech socket, as settings write them."""

from __future__ import annotations

import pytest

from voicebench.errors import UsageError
from voicebench.remote.clients.socket_dialect import SocketDialect, read_dialect

DONE = {"type": "done"}


@pytest.mark.parametrize("chunk", ["{text}", ["{text}"]])
def test_one_message_is_a_message_and_not_its_letters(chunk: object) -> None:
    assert read_dialect({"chunk": chunk, "done": DONE}).chunk == ("{text}",)


def test_one_table_is_one_message() -> None:
    message = {"text": "{text}"}
    assert read_dialect({"chunk": message, "done": DONE}).chunk == (message,)


def test_everything_can_be_said() -> None:
    words: dict[str, object] = {
        "chunk": [{"say": "{text}"}, "flush"],
        "done": DONE,
        "sound": ["audio", "data"],
        "opening": [{"voice": "a"}],
        "ready": {"type": "ready"},
        "failed": {"type": "failed"},
        "in_order": False,
    }
    assert read_dialect(words) == SocketDialect(
        chunk=({"say": "{text}"}, "flush"),
        done=DONE,
        sound=("audio", "data"),
        opening=({"voice": "a"},),
        ready={"type": "ready"},
        failed={"type": "failed"},
        in_order=False,
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"chunk": ["{text}"]}, "tts.socket has no 'done'"),
        ({"done": DONE}, "tts.socket has no 'chunk'"),
        ({"chunk": ["{text}"], "done": DONE, "end": 1}, "unknown key 'tts.socket.end'"),
        ({"chunk": [{"say": "text"}], "done": DONE}, "chunk has no place for the text"),
        ({"chunk": [], "done": DONE}, "chunk has no place for the text"),
        ({"chunk": [1], "done": DONE}, r"tts.socket.chunk = \[1\] is not allowed"),
        ({"chunk": ["{text}"], "done": "Flushed"}, "tts.socket.done = 'Flushed' is not allowed"),
        ({"chunk": ["{text}"], "done": {}}, "tts.socket.done = {} is not allowed"),
        ({"chunk": ["{text}"], "done": DONE, "ready": "yes"}, "tts.socket.ready = 'yes'"),
        ({"chunk": ["{text}"], "done": DONE, "failed": ""}, "tts.socket.failed = ''"),
        ({"chunk": ["{text}"], "done": DONE, "sound": 1}, "tts.socket.sound = 1"),
        ({"chunk": ["{text}"], "done": DONE, "opening": 1}, "tts.socket.opening = 1"),
        ({"chunk": ["{text}"], "done": DONE, "in_order": "no"}, "tts.socket.in_order = 'no'"),
    ],
)
def test_what_means_nothing_is_refused_when_it_is_read(words: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_dialect(words)
