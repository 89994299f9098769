"""The bytes that a paced server sends: HTTP heads, server-sent events, pieces of sound, frames.

They are made before the first request, so that sending one costs a copy. The sound is the synthetic
voice: it passes for speech, and repeats after a whole number of pieces.
"""

from __future__ import annotations

import base64
import json
import struct

from voicebench.audio.pcm import to_int16
from voicebench.audio.synthetic_voice import synthetic_voice
from voicebench.events import AudioChunk, TextChunk, Token, TurnFailed, TurnFinished
from voicebench.load.pacing.paced_script import RATE_HZ, PacedScript
from voicebench.turn import wire

PERIOD_S = 12.0
"""Sound that is kept; a longer reply repeats it. Ten periods of the synthetic voice."""
_REPLY = "The train to the coast leaves from the second platform at a quarter past nine"
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 429: "Too Many Requests",
            503: "Service Unavailable"}  # fmt: skip
_BINARY, _TEXT = 0x82, 0x81


class PacedMessages:
    """Every message of one `PacedScript`, ready to be sent."""

    def __init__(self, script: PacedScript) -> None:
        self.script = script
        size = script.piece_samples
        voice = to_int16(synthetic_voice(max(round(PERIOD_S * RATE_HZ) // size, 1) * size, RATE_HZ))
        self._sound = [
            voice[begin : begin + size].astype("<i2").tobytes()
            for begin in range(0, voice.size, size)
        ]
        self._coded = [base64.b64encode(piece) for piece in self._sound]
        self._sound_chunks = [http_chunk(piece) for piece in self._sound]
        reply = _REPLY.split()
        said = [reply[number % len(reply)] for number in range(script.words)]
        self._words = [f" {word}" if number else word for number, word in enumerate(said)]
        self._token_chunks = [http_chunk(_event(_delta(word))) for word in self._words]
        end = _event(_delta("", "stop"))
        self._end = http_chunk(end + _event("[DONE]")) + b"0\r\n\r\n"
        counts = {"prompt_tokens": 8, "completion_tokens": script.words,
                  "total_tokens": 8 + script.words}  # fmt: skip
        usage = _event({**_CHUNK, "choices": [], "usage": counts})
        self._end_with_usage = http_chunk(end + usage + _event("[DONE]")) + b"0\r\n\r\n"
        self.refused_request = _refusal(script.refuse_status)
        self.chat_head = _head(200, "text/event-stream", None)
        self.speech_head = _head(200, f"audio/pcm;rate={RATE_HZ};channels=1", None)

    @property
    def text(self) -> str:
        """The text of every reply."""
        return "".join(self._words)

    def token_chunk(self, number: int) -> bytes:
        """Return a token of a chat reply as a chunk of HTTP."""
        return self._token_chunks[number]

    def chat_end(self, *, with_usage: bool) -> bytes:
        """Return the end of a chat reply and of its body."""
        return self._end_with_usage if with_usage else self._end

    def sound_chunk(self, number: int) -> bytes:
        """Return a piece of sound as a chunk of HTTP."""
        return self._sound_chunks[number % len(self._sound_chunks)]

    def token_frame(self, number: int, turn: int) -> bytes:
        """Return a token as a message of the voice socket; the whole text comes before the first"""
        token = _text_frame(wire.encode(Token(self._words[number]), turn))
        if number:
            return token
        return token + _text_frame(wire.encode(TextChunk(self.text), turn))

    def sound_head(self, turn: int) -> bytes:
        """Return what precedes the samples in each message of the voice socket with sound."""
        message = wire.encode(AudioChunk(_ONE_SAMPLE, RATE_HZ), turn)
        assert isinstance(message, bytes)
        head = message[:-2]
        size = len(head) + len(self._sound[0])
        return frame(_BINARY, bytes(size))[:-size] + head

    def sound_frame(self, number: int, head: bytes) -> bytes:
        """Return a piece of sound as a message of the voice socket; ``head`` is `sound_head`."""
        return head + self._sound[number % len(self._sound)]

    def realtime_token_frame(self, number: int, turn: int) -> bytes:
        """Return a token as an event of the Realtime protocol; the response is told before."""
        kind = "response.output_audio_transcript.delta"
        token = _event_frame({"type": kind, **_ids(turn), "delta": self._words[number]})
        return token if number else _response_frame("created", "in_progress", turn) + token

    def realtime_sound(self, turn: int) -> tuple[bytes, bytes]:
        """Return what stands around each piece of sound in an event of the Realtime protocol."""
        event = {"type": "response.output_audio.delta", **_ids(turn), "delta": ""}
        before, after = json.dumps(event).encode()[:-2], b'"}'
        payload = before + bytes(len(self._coded[0])) + after
        return frame(_TEXT, payload)[: -len(payload)] + before, after

    def realtime_sound_frame(self, number: int, around: tuple[bytes, bytes]) -> bytes:
        """Return a piece of sound as such an event; ``around`` is `realtime_sound`."""
        return around[0] + self._coded[number % len(self._coded)] + around[1]

    def realtime_end_frame(self, turn: int) -> bytes:
        """Return the end of a response of the Realtime protocol."""
        return _response_frame("done", "completed", turn)

    def realtime_refusal_frame(self) -> bytes:
        """Return the refusal of a response of the Realtime protocol."""
        return _event_frame({"type": "error", **_refused(self.script.refuse_status)})

    def end_frame(self, turn: int) -> bytes:
        """Return the end of a reply of the voice socket."""
        return _text_frame(wire.encode(TurnFinished(), turn))

    def refusal_frame(self, turn: int) -> bytes:
        """Return the refusal of a turn of the voice socket."""
        status = self.script.refuse_status
        failed = TurnFailed(f"answers {status}: no room for another turn", "refused", "turn")
        return _text_frame(wire.encode(failed, turn))


def answer(status: int, content: object, kind: str = "application/json") -> bytes:
    """Return a whole HTTP answer; ``content`` is bytes, or is written as JSON."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return _head(status, kind, len(body)) + body


def _refusal(status: int) -> bytes:
    """Return the answer that refuses a request, in the shape of OpenAI's errors."""
    return answer(status, _refused(status))


def _refused(status: int) -> dict[str, object]:
    said = {"message": "no room for another reply", "type": "overloaded_error", "code": status}
    return {"error": said}


def http_chunk(data: bytes) -> bytes:
    """Return ``data`` as one chunk of a chunked body (RFC 9112, section 7.1)."""
    return b"%x\r\n" % len(data) + data + b"\r\n"


def frame(kind: int, payload: bytes) -> bytes:
    """Return one whole unmasked WebSocket frame (RFC 6455, section 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((kind, size)) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", kind, 126, size) + payload
    return struct.pack("!BBQ", kind, 127, size) + payload


def _ids(turn: int) -> dict[str, str]:
    return {"response_id": f"response_{turn}", "item_id": f"item_{turn}"}


def _response_frame(what: str, status: str, turn: int) -> bytes:
    response = {"id": _ids(turn)["response_id"], "status": status}
    return _event_frame({"type": f"response.{what}", "response": response})


def _event_frame(event: object) -> bytes:
    return _text_frame(json.dumps(event))


def _text_frame(message: str | bytes) -> bytes:
    assert isinstance(message, str)
    return frame(_TEXT, message.encode())


def _head(status: int, kind: str, length: int | None) -> bytes:
    size = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
    return (
        f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}\r\ncontent-type: {kind}\r\n{size}\r\n"
        "server: voicebench-paced\r\n\r\n"
    ).encode()


_CHUNK = {"id": "paced", "object": "chat.completion.chunk", "created": 0, "model": "paced"}
_ONE_SAMPLE = synthetic_voice(1, RATE_HZ)


def _delta(text: str, finish: str | None = None) -> dict[str, object]:
    delta = {"role": "assistant", "content": text} if text else {}
    return {**_CHUNK, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def _event(data: object) -> bytes:
    text = data if isinstance(data, str) else json.dumps(data)
    return f"data: {text}\n\n".encode()
