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

voicebench sends int16, which is half the size and what most voices have. It reads both.

A turn on the wire: the client sends `TurnStarted`. The server answers with the events as they
happen, and ends with `ServerTiming` (its own duration of the turn) and `TurnFinished`, or with
`TurnFailed`. Then the next turn may begin on the same connection. Both ends agree on the
subprotocol `SUBPROTOCOL` when they connect.

**An interruption.** In the middle of a turn the client may send `TurnInterrupted`. The server
stops, and ends the turn with `TurnStopped` and `TurnFinished`. If the turn is over by then, it
ignores the message.

**The turn's number** is chosen by the client, and each message of the answer repeats it, so a late
message of an earlier turn is recognised. It is optional.

A client shows the server's ``joined`` and ``our_ms`` but does not rely on them: it measures both
itself.

`decode` trusts nothing: sizes are bounded, numbers are finite, texts can be encoded as UTF-8.
Unknown keys are ignored, so that a later server can say more.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from voicebench.audio.pcm import SAMPLE_RATES, from_int16, to_int16
from voicebench.errors import EngineError
from voicebench.events import AudioChunk, Event, Fault, Reply, TextChunk, Token, TurnStarted
from voicebench.turn.typed_json import read_as

VERSION = 1
MAX_TURN = (1 << 32) - 1
SUBPROTOCOL = "voicebench.v1"
MAX_MESSAGE_BYTES = 4 << 20
"""The longest message that either end sends or accepts: 87 s of int16 samples at 24 kHz."""

LARGEST_NUMBER = 1e12

_HEADER = struct.Struct("<2sBBI")
_NUMBER = struct.Struct("<I")
_WRITER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_MAGIC = b"VB"
_WITHOUT_TURN, _WITH_TURN = 1, 2
_INT16, _FLOAT32 = 1, 2
_NAMES = {kind: re.sub(r"\B([A-Z])", r"_\1", kind.__name__).lower() for kind in get_args(Event)}
"""The ``type`` of each event's message: ``turn_started`` for `TurnStarted`."""
_IF_MISSING = {"reused": False, "tokens": 0}
"""Fields that a server may leave out although the events have no default for them."""
_SENT = {
    kind: tuple(field.name for field in fields(kind) if field.compare) for kind in get_args(Event)
}
"""The fields that are sent: those that mean the same at both ends."""
_KINDS = {name: kind for kind, name in _NAMES.items() if kind is not AudioChunk}


class WireError(EngineError):
    """A message that breaks this protocol."""

    fault: Fault = "protocol"


class OfTurn(NamedTuple):
    """An event and the number of its turn; None where the message has no number."""

    event: Event
    turn: int | None


class SoundHead(NamedTuple):
    """The bytes before the samples in messages that hold int16 sound of one turn."""

    data: bytes
    sample_rate: int

    @property
    def size(self) -> int:
        """Its bytes."""
        return len(self.data)

    def precedes(self, message: bytes) -> bool:
        """Return whether ``message`` is this head, and whole samples after it."""
        size = len(self.data)
        return message[:size] == self.data and len(message) > size and len(message) % 2 == 0


def encode(event: Event, turn: int | None = None) -> str | bytes:
    """Return ``event`` as a message of turn number ``turn``, if given.

    Raises `WireError` if the message would be longer than `MAX_MESSAGE_BYTES`.
    """
    if isinstance(event, AudioChunk):
        message: str | bytes = _encode_audio(event, turn)
    else:
        message = _encode(event, turn)
    _check_size(message)
    return message


def decode(message: str | bytes) -> Event:
    """Return the event in ``message``. Raises `WireError`."""
    return decode_of_turn(message).event


def decode_of_turn(message: str | bytes) -> OfTurn:
    """Return the event in ``message`` and the number of its turn. Raises `WireError`."""
    _check_size(message)
    return _decode_audio(message) if isinstance(message, bytes) else _decode(message)


def sound_head(sample_rate: int, turn: int) -> bytes:
    """Return what precedes the samples in a message with int16 sound of this turn."""
    return _HEADER.pack(_MAGIC, _WITH_TURN, _INT16, sample_rate) + _NUMBER.pack(turn)


def head_of(message: bytes) -> SoundHead | None:
    """Return the head of a message with sound; None unless it is that of int16 and has a turn."""
    size = _HEADER.size + _NUMBER.size
    magic, form, stored, rate = _HEADER.unpack_from(message)
    if (magic, form, stored) != (_MAGIC, _WITH_TURN, _INT16):
        return None
    return SoundHead(message[:size], rate)


def _encode(event: Event, turn: int | None) -> str:
    content: dict[str, object] = {"type": _NAMES[type(event)]}
    if isinstance(event, TurnStarted):
        content["version"] = VERSION
    content |= {name: getattr(event, name) for name in _SENT[type(event)]}
    if turn is not None:
        content["turn"] = turn
    return _WRITER.encode(content)


def _encode_audio(event: AudioChunk, turn: int | None) -> bytes:
    if turn is None:
        head = _HEADER.pack(_MAGIC, _WITHOUT_TURN, _INT16, event.sample_rate)
    else:
        head = sound_head(event.sample_rate, turn)
    return head + to_int16(event.pcm).astype("<i2").tobytes()


def _decode_audio(message: bytes) -> OfTurn:
    if len(message) <= _HEADER.size:
        raise _no_sample(message)
    magic, form, stored, rate = _HEADER.unpack_from(message)
    if magic != _MAGIC:
        raise WireError(f"a binary message begins with {magic!r}, not with {_MAGIC!r}")
    if form not in (_WITHOUT_TURN, _WITH_TURN):
        _check_version(form)
    if rate not in SAMPLE_RATES:
        raise WireError(f"sample rate {rate} Hz is out of range")
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
    if stored == _INT16 and len(body) % 2 == 0:
        return from_int16(np.frombuffer(body, dtype="<i2"))
    if stored == _FLOAT32 and len(body) % 4 == 0:
        pcm = np.frombuffer(body, dtype="<f4").astype(np.float32)
        if not np.isfinite(pcm).all():
            raise WireError("some samples are not finite numbers")
        return pcm
    raise WireError(f"{len(body)} bytes do not fit sample format {stored}")


def _decode(message: str) -> OfTurn:
    try:
        content = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise WireError(f"a message is not JSON ({type(error).__name__})") from None
    if not isinstance(content, dict):
        raise WireError("a message is not a JSON object")
    name = content.get("type")
    if not isinstance(name, str) or name not in _KINDS:
        raise WireError(f"a message has the unknown type {str(name)[:40]!r}")
    if name == "turn_started":
        _check_version(content.get("version"))
    try:
        sent = {key: content[key] for key in _SENT[_KINDS[name]] if key in content}
        event = read_as(_KINDS[name], {**_IF_MISSING, **sent})
        _check_values(event)
        return OfTurn(event, _turn(content))
    except ValueError as error:
        raise WireError(f"a {name!r} message is broken: {error}") from None


def _check_values(event: Any) -> None:
    """Raise `ValueError` for values of the right type that the protocol does not allow."""
    for field in fields(event):
        value = getattr(event, field.name)
        if isinstance(value, float) and not 0 <= value < LARGEST_NUMBER:
            raise ValueError(f"{field.name} is {value:g}, not a number from 0")
        if isinstance(value, str):
            value.encode("utf-8")
    if isinstance(event, Token | Reply | TextChunk) and not event.text:
        raise ValueError("text is empty")


def _turn(content: Mapping[str, object]) -> int | None:
    value = content.get("turn")
    if value is None or (type(value) is int and 0 <= value <= MAX_TURN):
        return value
    raise ValueError(f"turn is not a whole number from 0 to {MAX_TURN}")


def _check_size(message: str | bytes) -> None:
    # A letter takes at least one byte, so a very long text is refused without encoding it.
    size = len(message)
    if isinstance(message, str) and MAX_MESSAGE_BYTES // 4 < size <= MAX_MESSAGE_BYTES:
        size = len(message.encode("utf-8", "surrogatepass"))
    if size > MAX_MESSAGE_BYTES:
        raise WireError(f"a message of more than {MAX_MESSAGE_BYTES} bytes")


def _check_version(version: object) -> None:
    if version != VERSION:
        raise WireError(
            f"the peer speaks version {str(version)[:20]} of the protocol, "
            f"and this end version {VERSION}",
            "use the same version of voicebench at both ends",
        )
