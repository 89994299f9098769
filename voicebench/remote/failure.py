"""Errors of a peer, or of the way to it, as one sentence.

A peer's words in that sentence go through `voicebench.quoting`, and so does the whole sentence, so
it holds no control characters. `voicebench.remote.connection.peer.Peer` removes the keys.
"""

from __future__ import annotations

import json
import re
from functools import partial

from voicebench.errors import EngineError
from voicebench.events import Fault, Stage
from voicebench.quoting import one_line

_MESSAGE_KEYS = (
    *("error", "errors", "error_message", "error_msg", "errorMessage"),
    *("detail", "message", "msg"),
)
MAX_SENTENCE = 2000
"""Characters of a whole sentence."""


class RemoteError(EngineError):
    """A peer, or the way to it, failed: the turn fails with this fault and stage."""

    def __init__(
        self, message: str, remedy: str = "", *, fault: Fault, stage: Stage | None = None
    ) -> None:
        super().__init__(one_line(message)[:MAX_SENTENCE], one_line(remedy)[:MAX_SENTENCE])
        self.fault: Fault = fault
        self.stage: Stage | None = stage

    def __reduce__(self) -> tuple[object, ...]:
        """Return how another process makes the same error."""
        return partial(RemoteError, fault=self.fault, stage=self.stage), (self.message, self.remedy)


def sound_error(message: str, remedy: str = "") -> RemoteError:
    """Return the error that the sound of a peer is wrong."""
    return RemoteError(message, remedy, fault="audio")


def message_in(body: str) -> str:
    """Return the message in the body of an error answer.

    That is the message in OpenAI's ``{"error": {"message": …}}`` and similar shapes (``error`` as
    text, FastAPI's ``detail``, ``message``), or a web page's title, else the whole text.
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
