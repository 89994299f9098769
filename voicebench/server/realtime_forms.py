"""The Realtime protocol's objects: sessions, items and errors, in both versions."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from voicebench.events import Usage
from voicebench.server.refusal import Refusal
from voicebench.server.request_bodies import spoken_text
from voicebench.server.resampling import PROTOCOL_RATE


@dataclass(frozen=True, slots=True)
class Dialect:
    """One version of the protocol: the names of its events and fields."""

    audio: str
    transcript: str
    item_created: str
    is_beta: bool

    def session(
        self, session_id: str, model: str, voice: str, instructions: str | None
    ) -> dict[str, object]:
        """Return a session object of this version."""
        shared: dict[str, object] = {
            "id": session_id,
            "object": "realtime.session",
            "model": model,
            "instructions": instructions or "",
        }
        if self.is_beta:
            return shared | {
                "modalities": ["audio", "text"],
                "voice": voice,
                "output_audio_format": "pcm16",
            }
        output = {"format": {"type": "audio/pcm", "rate": PROTOCOL_RATE}, "voice": voice}
        return shared | {
            "type": "realtime",
            "output_modalities": ["audio"],
            "audio": {"output": output},
        }


GA = Dialect(
    "response.output_audio",
    "response.output_audio_transcript",
    "conversation.item.added",
    is_beta=False,
)
BETA = Dialect(
    "response.audio", "response.audio_transcript", "conversation.item.created", is_beta=True
)


def session_of(fields: Mapping[str, object], instructions: str | None) -> str | None:
    """Return the instructions after an update. Raises `Refusal` for unsupported fields."""
    wanted = fields.get("instructions", instructions)
    if wanted is not None and not isinstance(wanted, str):
        raise Refusal(400, "instructions is not text", param="session.instructions")
    if wanted and wanted.strip():
        spoken_text(wanted, "session.instructions")
    if fields.get("tools"):
        raise Refusal(400, "tools are not supported by this server", param="session.tools")
    for name in ("output_modalities", "modalities"):
        kinds = fields.get(name)
        if kinds is not None and (not isinstance(kinds, list) or "audio" not in kinds):
            raise Refusal(400, "this server answers only in speech", param=f"session.{name}")
    _check_format(fields)
    return wanted if wanted and wanted.strip() else None


def prompt_of(item: object) -> str:
    """Return the text of a user's conversation item. Raises `Refusal`."""
    fields = item if isinstance(item, dict) else {}
    parts = fields.get("content")
    texts = [
        part["text"]
        for part in (parts if isinstance(parts, list) else [])
        if isinstance(part, dict)
        and part.get("type") == "input_text"
        and isinstance(part.get("text"), str)
    ]
    if fields.get("type") != "message" or fields.get("role") != "user" or not texts:
        raise Refusal(400, "an item must be a message of the user with input_text", param="item")
    return "".join(texts)


def usage_of(counted: Usage) -> dict[str, object]:
    """Return the counts of a response; those of the prompt only if the model says them."""
    usage: dict[str, object] = {
        "output_tokens": counted.tokens,
        "output_token_details": {"text_tokens": counted.tokens},
    }
    if counted.prompt_tokens is not None:
        details = {"text_tokens": counted.prompt_tokens}
        if counted.cached_tokens is not None:
            details["cached_tokens"] = counted.cached_tokens
        usage |= {
            "total_tokens": counted.prompt_tokens + counted.tokens,
            "input_tokens": counted.prompt_tokens,
            "input_token_details": details,
        }
    return usage


def error_event(refusal: Refusal) -> dict[str, object]:
    """Return the event that reports a refusal."""
    return {"type": "error", "event_id": f"event_{secrets.token_hex(8)}", **refusal.content()}


def _check_format(fields: Mapping[str, object]) -> None:
    audio = fields.get("audio")
    output = audio.get("output") if isinstance(audio, dict) else None
    wanted = output.get("format") if isinstance(output, dict) else None
    given = fields.get("output_audio_format", "pcm16")
    plain = {"type": "audio/pcm", "rate": PROTOCOL_RATE}
    if given != "pcm16" or (wanted is not None and wanted not in (plain, {"type": "audio/pcm"})):
        raise Refusal(
            400, f"only 16-bit PCM at {PROTOCOL_RATE} Hz is sent", param="session.audio.output"
        )
