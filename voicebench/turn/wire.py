"""The events of a turn as WebSocket messages: one codec for the server and for its client.

A **text message** is one JSON object, its ``type`` the event's name and its other keys the event's
fields::

    {"type": "turn_started", "version": 1, "prompt": "What?", "turn": 7}     client to server
    {"type": "token", "text": "It", "joined": false, "turn": 7}              server to client
    {"type": "text_chunk", "text": "It is late.", "turn": 7}
    {"type": "server_timing", "duration_ms": 412.5, "our_ms": null, "turn": 7}
    {"type": "turn_finished", "turn": 7}

A **binary message** is an `AudioChunk`: a header, then samples, little-endian mono.

    ======  ====================================================
    bytes   meaning
    ======  ====================================================
    0-1     ``VB``
    2       1; 2 where the turn's number follows the rate
    3       how a sample is stored: 1 is int16, 2 is float32
    4-7     sample rate in Hz, unsigned
    8-11    the turn's number, unsigned; only where byte 2 says so
    then    samples
    ======  ====================================================

int16 halves what is sent and is what most voices have; float32 loses nothing.

A turn on the wire: the client sends `TurnStarted`; the server answers with the events as they
arise and ends with `ServerTiming` (its own duration of the turn) and `TurnFinished`, or with
`TurnFailed`. Then the next turn may begin on the same connection. Both ends agree on the
subprotocol `SUBPROTOCOL` when they connect.

**The turn's number** is the client's, and each message of the answer repeats it: what is left of
an earlier turn is never taken for this one's. A client that gives none gets none, and a server
that does not know the key passes it over.

What a server says of its own clock or reads (``joined``, ``our_ms``) is for its client to show, not
to believe: a client measures both itself.

`decode` takes nothing on trust: sizes are bounded, numbers are finite, texts are whole letters.
Keys that it does not know are passed over, so that a later server can say more.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from voicebench.audio.pcm import SAMPLE_RATES, from_int16, to_int16
from voicebench.errors import EngineError
from voicebench.events import (
    AudioChunk,
    Connected,
    Event,
    Fault,
    FirstByte,
    Remark,
    RemarkKind,
    Reply,
    ServerTiming,
    SilenceTrimmed,
    SpeakerStarted,
    Stage,
    TextChunk,
    Token,
    TurnFailed,
    TurnFinished,
    TurnStarted,
    Usage,
)

VERSION = 1
MAX_TURN = (1 << 32) - 1
SUBPROTOCOL = "voicebench.v1"
MAX_MESSAGE_BYTES = 4 << 20
"""Neither end sends or takes a longer message; of int16 samples at 24 kHz these are 87 s."""

Samples = Literal["int16", "float32"]
"""How the samples of an `AudioChunk` are stored on the wire."""

_HEADER = struct.Struct("<2sBBI")
_NUMBER = struct.Struct("<I")
_MAGIC = b"VB"
_WITHOUT_TURN, _WITH_TURN = 1, 2
_STORED = {"int16": 1, "float32": 2}


class WireError(EngineError):
    """A message that is none of this protocol; the sentence says which part of it."""

    fault: Fault = "protocol"


class OfTurn(NamedTuple):
    """An event and the number of its turn, None where the message has none."""

    event: Event
    turn: int | None


def encode(event: Event, samples: Samples = "int16", turn: int | None = None) -> str | bytes:
    """Return ``event`` as a message, of the turn with this number where one is given.

    Raises `WireError` for one that is too long to be sent.
    """
    if isinstance(event, AudioChunk):
        message: str | bytes = _encode_audio(event, samples, turn)
    else:
        message = _encode(event, turn)
    _check_size(message)
    return message


def decode(message: str | bytes) -> Event:
    """Return the event that ``message`` is. Raises `WireError`."""
    return decode_of_turn(message).event


def decode_of_turn(message: str | bytes) -> OfTurn:
    """Return the event that ``message`` is, and the number of its turn. Raises `WireError`."""
    _check_size(message)
    return _decode_audio(message) if isinstance(message, bytes) else _decode(message)


def _encode(event: Event, turn: int | None) -> str:
    content: dict[str, object] = {"type": _NAMES[type(event)]}
    if isinstance(event, TurnStarted):
        content["version"] = VERSION
    content |= {field.name: getattr(event, field.name) for field in fields(event)}
    if turn is not None:
        content["turn"] = turn
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def _encode_audio(event: AudioChunk, samples: Samples, turn: int | None) -> bytes:
    stored = to_int16(event.pcm).astype("<i2") if samples == "int16" else event.pcm.astype("<f4")
    form = _WITHOUT_TURN if turn is None else _WITH_TURN
    header = _HEADER.pack(_MAGIC, form, _STORED[samples], event.sample_rate)
    number = b"" if turn is None else _NUMBER.pack(turn)
    return header + number + stored.tobytes()


def _decode_audio(message: bytes) -> OfTurn:
    if len(message) <= _HEADER.size:
        raise _no_sample(message)
    magic, form, stored, rate = _HEADER.unpack_from(message)
    if magic != _MAGIC:
        raise WireError(f"a binary message that begins with {magic!r} and not with {_MAGIC!r}")
    if form not in (_WITHOUT_TURN, _WITH_TURN):
        _check_version(form)
    if rate not in SAMPLE_RATES:
        raise WireError(f"samples at {rate} Hz")
    body = memoryview(message)[_HEADER.size :]
    turn = None
    if form == _WITH_TURN:
        if len(body) <= _NUMBER.size:
            raise _no_sample(message)
        (turn,) = _NUMBER.unpack_from(body)
        body = body[_NUMBER.size :]
    return OfTurn(AudioChunk(_samples_in(body, stored), rate), turn)


def _no_sample(message: bytes) -> WireError:
    return WireError(f"a binary message of {len(message)} bytes holds no sample")


def _samples_in(body: memoryview, stored: int) -> NDArray[np.float32]:
    if stored == _STORED["int16"] and len(body) % 2 == 0:
        return from_int16(np.frombuffer(body, dtype="<i2"))
    if stored == _STORED["float32"] and len(body) % 4 == 0:
        pcm = np.frombuffer(body, dtype="<f4").astype(np.float32)
        if not np.isfinite(pcm).all():
            raise WireError("samples that are no numbers")
        return pcm
    raise WireError(f"{len(body)} bytes of samples stored in way {stored}")


def _decode(message: str) -> OfTurn:
    try:
        content = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise WireError(f"a message that is no JSON ({type(error).__name__})") from None
    if not isinstance(content, dict):
        raise WireError("a message that is no JSON object")
    name = content.get("type")
    if not isinstance(name, str) or name not in _MESSAGES:
        raise WireError(f"a message of the unknown type {str(name)[:40]!r}")
    if name == "turn_started":
        _check_version(content.get("version"))
    made, readers = _MESSAGES[name]
    event = made(**{key: read(content, key) for key, read in readers.items()})
    return OfTurn(event, _turn(content))


def _check_size(message: str | bytes) -> None:
    # A letter takes at least a byte, so a text that is too long need not be encoded to be refused.
    size = len(message)
    if isinstance(message, str) and MAX_MESSAGE_BYTES // 4 < size <= MAX_MESSAGE_BYTES:
        size = len(message.encode("utf-8", "surrogatepass"))
    if size > MAX_MESSAGE_BYTES:
        raise WireError(f"a message of more than {MAX_MESSAGE_BYTES} bytes")


def _check_version(version: object) -> None:
    if version != VERSION:
        raise WireError(
            f"version {str(version)[:20]} of the protocol, where this end speaks {VERSION}",
            "use the same version of voicebench at both ends",
        )


_Reader = Callable[[Mapping[str, object], str], object]


def _any_text(content: Mapping[str, object], key: str) -> str:
    value = content.get(key)
    if not isinstance(value, str):
        raise _bad(content, key, "text")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise _bad(content, key, "text of whole letters") from None
    return value


def _some_text(content: Mapping[str, object], key: str) -> str:
    value = _any_text(content, key)
    if not value:
        raise _bad(content, key, "text that is not empty")
    return value


def _number(content: Mapping[str, object], key: str) -> float:
    value = content.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _bad(content, key, "a number")
    if not 0 <= value < 1e12 or not math.isfinite(value):
        raise _bad(content, key, "a number from 0 up")
    return float(value)


def _number_or_none(content: Mapping[str, object], key: str) -> float | None:
    return None if content.get(key) is None else _number(content, key)


def _count(content: Mapping[str, object], key: str) -> int:
    value = content.get(key, 0)
    if type(value) is not int or not 0 <= value < 1 << 53:
        raise _bad(content, key, "a whole number from 0 up")
    return value


def _turn(content: Mapping[str, object]) -> int | None:
    value = content.get("turn")
    if value is None or (type(value) is int and 0 <= value <= MAX_TURN):
        return value
    raise _bad(content, "turn", f"a whole number from 0 to {MAX_TURN}")


def _count_or_none(content: Mapping[str, object], key: str) -> int | None:
    return None if content.get(key, 0) is None else _count(content, key)


def _flag(content: Mapping[str, object], key: str) -> bool:
    value = content.get(key, False)
    if not isinstance(value, bool):
        raise _bad(content, key, "true or false")
    return value


def _one_of(allowed: tuple[str, ...]) -> _Reader:
    def read(content: Mapping[str, object], key: str) -> object:
        if content.get(key) not in allowed:
            raise _bad(content, key, f"one of {', '.join(allowed)}")
        return content[key]

    return read


def _stage_or_turn(content: Mapping[str, object], key: str) -> object:
    return _one_of(get_args(Stage))({"stage": "turn", **content}, key)


def _bad(content: Mapping[str, object], key: str, allowed: str) -> WireError:
    return WireError(f"{key!r} of a {content['type']!r} message has to be {allowed}")


_MESSAGES: dict[str, tuple[Callable[..., Event], dict[str, _Reader]]] = {
    "turn_started": (TurnStarted, {"prompt": _any_text}),
    "token": (Token, {"text": _some_text, "joined": _flag}),
    "reply": (Reply, {"text": _some_text}),
    "usage": (Usage, {"tokens": _count, "hidden": _count_or_none}),
    "remark": (Remark, {"kind": _one_of(get_args(RemarkKind)), "said": _any_text}),
    "text_chunk": (TextChunk, {"text": _some_text}),
    "connected": (
        Connected,
        {"connect_ms": _number, "reused": _flag, "number": _count, "in_turn": _flag},
    ),
    "first_byte": (FirstByte, {}),
    "silence_trimmed": (SilenceTrimmed, {"duration_ms": _number}),
    "server_timing": (
        ServerTiming,
        {"duration_ms": _number, "our_ms": _number_or_none, "stage": _stage_or_turn},
    ),
    "speaker_started": (SpeakerStarted, {"delay_ms": _number}),
    "turn_finished": (TurnFinished, {}),
    "turn_failed": (
        TurnFailed,
        {"reason": _any_text, "fault": _one_of(get_args(Fault)), "stage": _one_of(get_args(Stage))},
    ),
}
_NAMES = {made: name for name, (made, _) in _MESSAGES.items()}
