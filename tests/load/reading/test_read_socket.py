"""Turns over a WebSocket in the reader's loop are those of the synchronous client."""

from __future__ import annotations

import base64
import json
import random
import struct
from collections.abc import Mapping
from typing import Any

import pytest
from replayed_socket import Sent, comparable, cut, expected_events, frames, read_turn

from voicebench.audio.pcm import AudibleRule, to_int16
from voicebench.audio.synthetic_voice import synthetic_voice
from voicebench.events import (
    AudioChunk,
    Event,
    Reply,
    ServerTiming,
    TextChunk,
    Token,
    TurnFailed,
    TurnFinished,
)
from voicebench.load.reading.read_socket import ReadSocket
from voicebench.targets.realtime import Realtime, RealtimeOptions
from voicebench.targets.remote_turn import SocketTarget
from voicebench.targets.voice_socket import VoiceSocket
from voicebench.turn import wire

URL = "ws://127.0.0.1:1/v1/voice"
RATE = 24_000
VOICE = synthetic_voice(RATE, RATE)
PIECES = [VOICE[begin : begin + 960] for begin in range(0, 9600, 960)]
RULE = AudibleRule()
CUTS = 5


def said(*events: Event, turn: int | None = 1) -> bytes:
    return frames(*(wire.encode(event, turn) for event in events))


def sounds(*pieces: Any, turn: int | None = 1) -> bytes:
    return said(*(AudioChunk(piece, RATE) for piece in pieces), turn=turn)


WORDS = said(Token("It"), Token(" is"), Token(" late."), TextChunk("It is late."))
END = said(ServerTiming(412.5, stage="turn"), TurnFinished())
FLOATS = b"VB\x02\x02" + struct.pack("<II", RATE, 1) + PIECES[3].astype("<f4").tobytes()
NANS = b"VB\x02\x02" + struct.pack("<II", RATE, 1) + struct.pack("<f", float("nan"))
HALF = b"VB\x02\x01" + struct.pack("<II", RATE, 1) + b"abc"
AT_ONCE = said(Reply("It is late."), TextChunk("It is late."))
FRAGMENTS = frames(*(wire.encode(AudioChunk(one, RATE), 1) for one in PIECES[:3]), parts=3)
CLOSE = b"\x88" + bytes([2 + 7]) + struct.pack("!H", 1012) + b"restart"
UNNUMBERED = said(Token("It"), TextChunk("It"), turn=None) + sounds(*PIECES[:3], turn=None)

VOICE_CASES: dict[str, tuple[bytes, str | None]] = {
    "plain": (WORDS + sounds(*PIECES) + END, None),
    "a reply at once": (AT_ONCE + sounds(*PIECES) + END, None),
    "reasoning": (said(Token("<think>hm</think>It")) + sounds(*PIECES) + END, None),
    "fragments and pings": (WORDS + FRAGMENTS + END, None),
    "samples as floats": (WORDS + sounds(*PIECES[:3]) + frames(FLOATS) + END, None),
    "another rate": (WORDS + sounds(*PIECES[:2]) + said(AudioChunk(PIECES[2], 16_000)) + END, None),
    "no numbers": (UNNUMBERED + said(TurnFinished(), turn=None), None),
    "sound of another turn": (sounds(*PIECES[:2], turn=7) + WORDS + sounds(*PIECES) + END, None),
    "more after the end": (WORDS + sounds(*PIECES) + END + sounds(PIECES[0]), None),
    "no sound": (WORDS + END, None),
    "not a number": (WORDS + sounds(*PIECES[:2]) + frames(NANS) + END, None),
    "half a sample": (WORDS + sounds(PIECES[0]) + frames(HALF), None),
    "the server reports a failure": (WORDS + said(TurnFailed("no room", "refused", "tts")), None),
    "an error in other words": (WORDS + frames('{"error": {"message": "no room"}}'), None),
    "not JSON": (WORDS + frames("oops"), None),
    "not UTF-8": (WORDS + b"\x81\x02\xff\xfe", None),
    "a compressed message": (WORDS + b"\xc1\x02ab", None),
    "a message too large": (WORDS + b"\x82\x7f" + struct.pack("!Q", 9 << 20) + bytes(64), None),
    "a close frame": (WORDS + sounds(*PIECES[:4]) + CLOSE, ""),
    "a plain end": (WORDS + sounds(*PIECES[:4]), ""),
    "an end within a message": (WORDS + sounds(*PIECES[:4])[:-7], ""),
}  # fmt: skip


def delta(kind: str, **content: object) -> dict[str, object]:
    return {"type": f"response.{kind}", "response_id": "r1", "item_id": "i1", **content}


def encoded(piece: Any) -> str:
    return base64.b64encode(to_int16(piece).astype("<i2").tobytes()).decode()


def events(*content: Mapping[str, object]) -> bytes:
    return frames(*(json.dumps(one) for one in content))


GREETING = events({"type": "session.created"}, {"type": "session.updated", "session": {}})
CREATED: dict[str, object] = {"type": "response.created", "response": {"id": "r1"}}
SPOKEN = [delta("output_audio.delta", delta=encoded(piece)) for piece in PIECES]
TEXT = [delta("output_audio_transcript.delta", delta=word) for word in ("It", " is late.")]
ODD = base64.b64encode(b"\x01\x02\x03").decode()


def done(status: str = "completed") -> dict[str, object]:
    return {"type": "response.done", "response": {"id": "r1", "status": status}}


REALTIME_CASES: dict[str, tuple[bytes, str | None]] = {
    "plain": (events(CREATED, *TEXT, *SPOKEN, done()), None),
    "more keys": (events(CREATED, SPOKEN[0], SPOKEN[1] | {"more": 1}, *SPOKEN[2:], done()), None),
    "sound of another response": (
        events(CREATED, *SPOKEN[:2], SPOKEN[2] | {"response_id": "r0"}, *SPOKEN[3:], done()), None),
    "half samples": (
        events(CREATED, SPOKEN[0], delta("audio.delta", delta=ODD), delta("audio.delta", delta=ODD),
               SPOKEN[1], done()), None),
    "not base64": (events(CREATED, *SPOKEN[:2], delta("audio.delta", delta="!!!!"), done()), None),
    "an error": (events(CREATED, *SPOKEN[:2], {"type": "error", "error": {"message": "no"}}), None),
    "it ended as failed": (events(CREATED, *SPOKEN[:2], done("failed")), None),
    "not announced": (events(*SPOKEN[:2], done()), None),
    "a binary message": (events(CREATED) + frames(b"abc"), None),
    "more after the end": (events(CREATED, *SPOKEN, done(), SPOKEN[0]), None),
    "a plain end": (events(CREATED, *SPOKEN[:3]), ""),
}  # fmt: skip

CASES: list[tuple[str, str, bytes, str | None]] = [
    *(("voice", name, data, ends) for name, (data, ends) in VOICE_CASES.items()),
    *(("realtime", name, data, ends) for name, (data, ends) in REALTIME_CASES.items()),
]


def new_target(kind: str) -> SocketTarget:
    if kind == "voice":
        return VoiceSocket(URL)
    return Realtime(URL, RealtimeOptions())


@pytest.mark.parametrize(
    ("kind", "name", "data", "ends"), CASES, ids=[f"{kind}: {name}" for kind, name, _, _ in CASES]
)
def test_bytes_cut_anywhere_give_the_synchronous_clients_timeline(
    kind: str, name: str, data: bytes, ends: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(f"{kind} {name}")
    for number in range(CUTS):
        places = [draw.randrange(len(data)) for _ in range(number * 7)]
        greeting = GREETING if kind == "realtime" else b""
        sent = Sent(cut(data, places), greeting, ends if ends is not None else "")
        turn = read_turn(lambda: new_target(kind), sent, monkeypatch)
        assert turn.has_ended
        found, later = turn.read.events(new_target(kind))
        assert not later
        wanted = expected_events(lambda: new_target(kind), sent, turn.read.sent_ns, monkeypatch)
        assert comparable(found) == wanted, places
        # What was read, and who had failed, was known when the turn ended.
        assert found[-1].at_ns == turn.read.ended_ns
        assert (turn.heard().until_ns == turn.read.ended_ns) or not isinstance(
            found[-1].event, TurnFailed
        )


@pytest.mark.parametrize("kind", ["voice", "realtime"])
def test_sound_that_is_not_kept_gives_the_same_arrivals(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, _ = (VOICE_CASES if kind == "voice" else REALTIME_CASES)["plain"]
    greeting = GREETING if kind == "realtime" else b""
    sent = Sent(cut(data, range(0, len(data), 3000)), greeting)

    def sealed(kept_bytes: int | None) -> tuple[Any, ReadSocket]:
        read = read_turn(lambda: new_target(kind), sent, monkeypatch, kept_bytes).read
        return read.seal(1, "load", RULE, clients=new_target(kind)).timeline, read

    whole, _ = sealed(None)
    short, read = sealed(2 * 960)
    assert sum(message is None for message in read.log.messages) == len(PIECES) - 1
    assert [one.samples for one in short.audio] == [one.samples for one in whole.audio]
    begins = [[at.at_ns - turn.audio[0].at_ns for at in turn.audio] for turn in (whole, short)]
    assert begins[0] == begins[1]
    assert short.failure is None
    assert [one.text for one in short.tokens] == [one.text for one in whole.tokens]


def test_a_turn_that_is_cut_off_is_unfinished(monkeypatch: pytest.MonkeyPatch) -> None:
    turn = read_turn(lambda: VoiceSocket(URL), Sent([WORDS + sounds(*PIECES[:3])]), monkeypatch)
    assert not turn.has_ended
    turn.cut_off()
    found, _ = turn.read.events(VoiceSocket(URL))
    assert isinstance(found[-1].event, TurnFailed)
    assert "still open when the level ended" in found[-1].event.reason
    assert sum(isinstance(one.event, AudioChunk) for one in found) == 3
