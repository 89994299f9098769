"""RTVI: the messages in JSON with which a Pipecat pipeline tells a client what it does.

They come over a WebSocket inside frames, and over WebRTC in the data channel, with the farewell of
SmallWebRTC.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from voicebench.agents.wire_dialect import as_text, text_under
from voicebench.calls.agent_events import (
    AgentEvent,
    AgentFailed,
    CallerTranscript,
    ReplyComplete,
    ReplyText,
    SpeechEndSeen,
)

VERSION = "1.0.0"
CLIENT_READY = as_text(
    {
        "label": "rtvi-ai",
        "type": "client-ready",
        "id": "voicebench",
        "data": {"version": VERSION, "about": {"library": "voicebench"}},
    }
)
"""What a client says first; a pipeline without RTVI ignores it."""


class RtviEvents:
    """Reads the messages of one call.

    A pipeline sends its sound in real time, so the end of its synthesis is not the end of the
    answer: that is ``bot-stopped-speaking``, unless the caller began to speak before it.
    """

    def __init__(self) -> None:
        self._interrupted = False

    def take(self, text: str) -> Iterator[AgentEvent]:
        """Yield what a message means; an unknown one, or no JSON object, means nothing."""
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return
        if not isinstance(found, dict):
            return
        kind, data = found.get("type"), found.get("data")
        table = data if isinstance(data, Mapping) else {}
        words = text_under(table, "text")
        if kind == "user-started-speaking":
            self._interrupted = True
        elif kind == "bot-started-speaking":
            self._interrupted = False
        elif kind == "bot-stopped-speaking":
            if not self._interrupted:
                yield ReplyComplete()
            self._interrupted = False
        elif kind == "user-stopped-speaking":
            yield SpeechEndSeen()
        elif kind == "user-transcription" and words:
            yield CallerTranscript(words, final=table.get("final") is not False)
        elif kind == "bot-llm-text" and words:
            yield ReplyText(words)
        elif kind == "error" and table.get("fatal") is not False:
            yield AgentFailed(f"reports an error: {text_under(table, 'error') or 'without a word'}")
        elif kind == "signalling" and text_under(found, "message", "type") == "peerLeft":
            yield AgentFailed("hung up in mid-turn")
