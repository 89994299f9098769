"""What went wrong on the other side or on the way, said in one sentence.

A peer's own words in such a sentence go through `voicebench.quoting`, the whole sentence too: no
control character gets into one, and whoever knows the peer's key (`Access.secrets`) takes it out.
"""

from __future__ import annotations

import json
import re

from voicebench.errors import EngineError
from voicebench.events import Fault, Stage
from voicebench.quoting import MAX_QUOTE, one_line, quote

__all__ = ["MAX_QUOTE", "RemoteError", "message_in", "quote"]

_MESSAGE_KEYS = (
    *("error", "errors", "error_message", "error_msg", "errorMessage"),
    *("detail", "message", "msg"),
)
MAX_SENTENCE = 2000
"""Characters of a whole sentence, whatever it repeats of a peer."""


class RemoteError(EngineError):
    """A peer, or the way to it, failed: the turn fails with this fault and stage."""

    def __init__(
        self, message: str, remedy: str = "", *, fault: Fault, stage: Stage | None = None
    ) -> None:
        super().__init__(one_line(message)[:MAX_SENTENCE], one_line(remedy)[:MAX_SENTENCE])
        self.fault: Fault = fault
        self.stage: Stage | None = stage


def message_in(body: str) -> str:
    """Return the message in the body of an error answer.

    OpenAI's shape ``{"error": {"message": …}}`` and its many cousins (``error`` as text,
    FastAPI's ``detail``, ``message``); a web page's title; else the text as it is.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        title = re.search(r"<title[^>]*>([^<]*)", body, re.IGNORECASE)
        return title[1] if title else body
    for key in _MESSAGE_KEYS:
        if isinstance(found, dict) and found.get(key):
            found = found[key]
    if isinstance(found, list) and found:
        return message_in(json.dumps(found[0]))
    return found if isinstance(found, str) else body
