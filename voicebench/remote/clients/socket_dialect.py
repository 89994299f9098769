"""The messages of a server that speaks over a WebSocket: what to send it, what its answers mean.

A dialect is read from the table ``[tts.socket]`` of the settings. A table that cannot work is an
error at once, because later it would only look like a server that does not answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from voicebench.errors import UsageError
from voicebench.remote.formats.json_text import has_all
from voicebench.remote.formats.reported_failure import reported_failure
from voicebench.remote.formats.template import filled, holds_place

Table = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class SocketDialect:
    """The messages of one kind of server.

    ``opening`` is sent once on a new connection. With ``ready``, a message that has all of it is
    awaited after that. ``sound`` is the path to base64 within a JSON message, empty where sound
    comes in binary messages. A message is a failure if it has a value at the key ``failed``, or,
    where ``failed`` is a table, all of it. ``in_order`` says that the server speaks texts one after
    the other, not at once. ``own`` is what a message has that is of the text with the number
    ``{id}``; sound in binary messages is of the text named last. Without ``own``, the sound of a
    text cannot be told from the rest of another's.
    """

    chunk: tuple[Table | str, ...]
    done: Table
    sound: tuple[str, ...] = ()
    opening: tuple[Table | str, ...] = ()
    ready: Table | None = None
    failed: str | Table = "error"
    in_order: bool = True
    own: Table | None = None

    def is_of(self, message: Table, number: str) -> bool | None:
        """Tell whether ``message`` is of the text with this number; None if it names no text."""
        if self.own is None or not all(key in message for key in self.own):
            return None
        wanted = filled(self.own, {"id": number})
        return isinstance(wanted, Mapping) and has_all(message, wanted)

    def ends(self, message: Table) -> bool:
        """Tell whether ``message`` ends the speech of a text."""
        return has_all(message, self.done)

    def is_ready(self, message: Table) -> bool:
        """Tell whether ``message`` says that a new connection is ready."""
        return self.ready is not None and has_all(message, self.ready)

    def fails(self, message: Table) -> bool:
        """Tell whether ``message`` reports a failure, in this dialect or as most servers do."""
        failed = self.failed
        is_failed = message.get(failed) if isinstance(failed, str) else has_all(message, failed)
        return bool(is_failed) or reported_failure(message) is not None


def read_dialect(words: Table) -> SocketDialect:
    """Return the dialect that the table ``[tts.socket]`` describes. Raises `UsageError`."""
    for name in words:
        if name not in _READERS:
            known = ", ".join(sorted(_READERS))
            raise UsageError(f"unknown key 'tts.socket.{name}'", f"use {known}")
    for name in ("chunk", "done"):
        if name not in words:
            raise UsageError(
                f"tts.socket has no {name!r}",
                "see docs/reference/servers.md for the messages of each server",
            )
    dialect = SocketDialect(**{name: _READERS[name](name, words[name]) for name in words})
    if not holds_place(dialect.chunk, "text"):
        raise UsageError(
            "tts.socket.chunk has no place for the text", "write '{text}' into one of its messages"
        )
    own = dialect.own
    if own is not None and not (holds_place(own, "id") and holds_place(dialect.chunk, "id")):
        raise UsageError(
            "tts.socket.own needs the text's number, in what is sent and in what comes back",
            "write '{id}' into one of its values and into a message of tts.socket.chunk",
        )
    return dialect


def _messages(name: str, value: object) -> tuple[Table | str, ...]:
    """Return the messages in ``value``: a list of them, or a single one."""
    listed = [value] if isinstance(value, str | Mapping) else value
    if not isinstance(listed, Sequence) or not all(isinstance(m, str | Mapping) for m in listed):
        raise _not_allowed(name, value, "write a list of messages, each a table or a text")
    return tuple(listed)


def _table(name: str, value: object) -> Table:
    if not isinstance(value, Mapping) or not value:
        raise _not_allowed(
            name, value, f'write what the message has, for example {name} = {{ type = "…" }}'
        )
    return value


def _key_or_table(name: str, value: object) -> str | Table:
    return value if isinstance(value, str) and value else _table(name, value)


def _path(name: str, value: object) -> tuple[str, ...]:
    steps = [value] if isinstance(value, str) else value
    if not isinstance(steps, Sequence) or not all(isinstance(step, str) for step in steps):
        raise _not_allowed(name, value, 'write the names on the way to it, such as ["audio"]')
    return tuple(steps)


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _not_allowed(name, value, "write true or false")
    return value


_READERS: Mapping[str, Callable[[str, object], Any]] = {
    "chunk": _messages,
    "done": _table,
    "sound": _path,
    "opening": _messages,
    "ready": _table,
    "failed": _key_or_table,
    "in_order": _flag,
    "own": _table,
}
"""How each key of ``[tts.socket]`` is checked."""


def _not_allowed(name: str, value: object, remedy: str) -> UsageError:
    return UsageError(f"tts.socket.{name} = {value!r:.80} is not allowed", remedy)
