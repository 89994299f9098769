"""The messages of `pipecat eval`, for the relay: RTVI in JSON, with its own for the sound.

The harness sends its sound as ``raw-audio``, 40 ms a message, silence included, and takes ours as
``eval-bot-audio``. It waits for an agent that speaks first, so the relay says a greeting, of which
our agent knows nothing. (Format: pipecat-ai 1.14, ``pipecat/evals/serializer.py`` and
``pipecat/serializers/rtvi_client.py``.)
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from benchmarks.peers.relay import HEAR_RATE, SPEAK_RATE, Message

VERSION = "1.0.0"


class EvalForm:
    """One call of the harness. ``greeting`` is said first: 16-bit samples at our agent's rate."""

    def __init__(self, greeting: bytes, greeting_text: str) -> None:
        self._greeting, self._greeting_text = greeting, greeting_text
        self._sends_sound = False
        self._replying = self._speaking = False
        self._unspoken = ""

    def heard(self, message: Message) -> tuple[bytes | None, Iterable[Message]]:
        """Return the PCM of ``raw-audio``; answer ``client-ready``."""
        fields = json.loads(message)
        data = fields.get("data") or {}
        if fields.get("type") == "raw-audio":
            if (data["sampleRate"], data["numChannels"]) != (HEAR_RATE, 1):
                raise ValueError(
                    f"sound is {data['sampleRate']} Hz, {data['numChannels']} channels"
                )
            return base64.b64decode(data["base64Audio"]), ()
        if fields.get("type") == "client-message" and data.get("t") == "eval-connect":
            self._sends_sound = bool(data["d"].get("capture_bot_audio"))
        elif fields.get("type") == "client-ready":
            about = {"version": VERSION, "about": {"library": "voicebench"}}
            ready = _rtvi("bot-ready", about, id=fields.get("id"))
            return None, [ready, *self._said(self._greeting_text, self._greeting)]
        return None, ()

    def told(self, message: Message) -> Iterator[Message]:
        """Yield RTVI for a message of our agent."""
        if isinstance(message, bytes):
            if not self._speaking:
                self._speaking = True
                yield _rtvi("bot-started-speaking")
            yield from self._spoken_text()
            yield from self._sound(message)
            return
        fields = json.loads(message)
        kind, text = fields.get("type"), fields.get("text", "")
        if kind == "speech_stopped":
            yield _rtvi("user-stopped-speaking")
        elif kind == "transcript":
            yield _rtvi("user-input", _user_input(text, fields.get("final") is not False))
        elif kind == "reply":
            if not self._replying:
                self._replying = True
                yield _rtvi("bot-llm-started")
            yield _rtvi("bot-llm-text", {"text": text})
            self._unspoken += text
        elif kind == "complete":
            yield from self._spoken_text()
            yield from self._ended()
        elif kind == "clear":
            yield _rtvi("bot-interrupted")
            yield from self._ended()

    def _said(self, text: str, pcm: bytes) -> Iterator[Message]:
        """Yield a whole answer."""
        yield from self.told(json.dumps({"type": "reply", "text": text}))
        yield from self.told(pcm)
        yield from self.told(json.dumps({"type": "complete"}))

    def _spoken_text(self) -> Iterator[Message]:
        """Yield the text that came before this sound; a pipeline says it with the sound."""
        if self._unspoken.strip():
            yield _rtvi("bot-tts-text", {"text": self._unspoken.strip()})
        self._unspoken = ""

    def _sound(self, pcm: bytes) -> Iterator[Message]:
        if self._sends_sound:
            audio = base64.b64encode(pcm).decode("ascii")
            yield _rtvi("eval-bot-audio", {"audio": audio, "sampleRate": SPEAK_RATE})

    def _ended(self) -> Iterator[Message]:
        if self._replying:
            yield _rtvi("bot-llm-stopped")
        if self._speaking:
            yield _rtvi("bot-stopped-speaking")
        self._replying = self._speaking = False
        self._unspoken = ""


def _rtvi(kind: str, data: Mapping[str, Any] | None = None, **fields: Any) -> str:
    message: dict[str, Any] = {"label": "rtvi-ai", "type": kind, **fields}
    if data is not None:
        message["data"] = data
    return json.dumps(message)


def _user_input(text: str, final: bool) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    return {"text": text, "input_type": "transcription", "timestamp": now, "final": final}
