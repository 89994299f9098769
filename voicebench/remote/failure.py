"""What went wrong on the other side or on the way, said in one sentence.

Text that came from a peer may be long, may hold terminal escapes, and may repeat the key that it
was sent. `quote` makes it fit to be shown.
"""

from __future__ import annotations

import json
import re
import unicodedata

from voicebench.errors import EngineError
from voicebench.events import Fault, Stage

_MESSAGE_KEYS = (
    *("error", "errors", "error_message", "error_msg", "errorMessage"),
    *("detail", "message", "msg"),
)
MAX_QUOTE = 300
"""Characters of a peer's own words that an error may repeat."""


class RemoteError(EngineError):
    """A peer, or the way to it, failed: the turn fails with this fault and stage."""

    def __init__(
        self, message: str, remedy: str = "", *, fault: Fault, stage: Stage | None = None
    ) -> None:
        super().__init__(message, remedy)
        self.fault: Fault = fault
        self.stage: Stage | None = stage


def quote(text: str, *secrets: str) -> str:
    """Return a peer's words on one line: bounded, without control characters or ``secrets``."""
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    plain = "".join(" " if unicodedata.category(char).startswith("C") else char for char in text)
    plain = " ".join(plain.split())
    return plain if len(plain) <= MAX_QUOTE else f"{plain[:MAX_QUOTE]}…"


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
