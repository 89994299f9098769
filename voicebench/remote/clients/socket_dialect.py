"""The words of a server that speaks over a WebSocket: what it is sent, and what its messages say.

A dialect is read from the table ``[tts.socket]`` of the settings. What it cannot mean is refused
there and then, because on the wire it would only be a server that does not answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from voicebench.errors import UsageError
from voicebench.remote.formats.template import filled, holds_place
from voicebench.remote.formats.told_failure import told_failure

Table = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class SocketDialect:
    """The words of one kind of server.

    ``opening`` is sent once on a new connection; with ``ready``, a message that has all of it is
    awaited then. ``sound`` is the path to base64 within a JSON message, empty where sound comes in
    binary messages. A message that has ``failed`` as a key, filled, is a failure; or one that has
    all of it, where it is a table. ``in_order``: texts that are sent one after the other are spoken
    one after the other, not at once. ``own``: what a message has that is of the text with the
    number ``{id}``; sound in binary messages is of the text that was named last. Without it the
    sound of a text cannot be told from what is left of another's.
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
        """Whether ``message`` is of the text with this number; None where it does not say."""
        if self.own is None or not all(key in message for key in self.own):
            return None
        wanted = filled(self.own, {"id": number})
        return isinstance(wanted, Mapping) and _has_all(message, wanted)

    def ends(self, message: Table) -> bool:
        """Whether ``message`` ends the speech of a text."""
        return _has_all(message, self.done)

    def begins(self, message: Table) -> bool:
        """Whether ``message`` says that a new connection is ready."""
        return self.ready is not None and _has_all(message, self.ready)

    def fails(self, message: Table) -> bool:
        """Whether ``message`` tells of a failure: in this dialect, or as most servers do."""
        failed = self.failed
        told = message.get(failed) if isinstance(failed, str) else _has_all(message, failed)
        return bool(told) or told_failure(message) is not None


def read_dialect(words: Table) -> SocketDialect:
    """Return the dialect that the table ``[tts.socket]`` describes. Raises `UsageError`."""
    known = [field.name for field in fields(SocketDialect)]
    for name in words:
        if name not in known:
            raise UsageError(f"unknown key 'tts.socket.{name}'", f"use {', '.join(sorted(known))}")
    for name in ("chunk", "done"):
        if name not in words:
            raise UsageError(
                f"tts.socket has no {name!r}", "see docs/servers.md for the words of each server"
            )
    chunk = _messages("chunk", words["chunk"])
    if not holds_place(chunk, "text"):
        raise UsageError(
            "tts.socket.chunk has no place for the text", "write '{text}' into one of its messages"
        )
    ready = words.get("ready")
    failed = words.get("failed", "error")
    return SocketDialect(
        chunk=chunk,
        done=_table("done", words["done"]),
        sound=_path(words.get("sound", ())),
        opening=_messages("opening", words.get("opening", ())),
        ready=None if ready is None else _table("ready", ready),
        failed=failed if isinstance(failed, str) and failed else _table("failed", failed),
        in_order=_flag("in_order", words.get("in_order", True)),
        own=_own(words.get("own"), chunk),
    )


def _messages(name: str, value: object) -> tuple[Table | str, ...]:
    """Return the messages that ``value`` lists; one that is not in a list is the only one."""
    listed = [value] if isinstance(value, str | Mapping) else value
    if not isinstance(listed, Sequence) or not all(isinstance(m, str | Mapping) for m in listed):
        raise _refused(name, value, "write a list of messages, each a table or a text")
    return tuple(listed)


def _table(name: str, value: object) -> Table:
    if not isinstance(value, Mapping) or not value:
        raise _refused(
            name, value, f'write what the message has, for example {name} = {{ type = "…" }}'
        )
    return value


def _own(value: object, chunk: object) -> Table | None:
    if value is None:
        return None
    own = _table("own", value)
    if not holds_place(own, "id") or not holds_place(chunk, "id"):
        raise UsageError(
            "tts.socket.own needs the text's number, in what is sent and in what comes back",
            "write '{id}' into one of its values and into a message of tts.socket.chunk",
        )
    return own


def _path(value: object) -> tuple[str, ...]:
    steps = [value] if isinstance(value, str) else value
    if not isinstance(steps, Sequence) or not all(isinstance(step, str) for step in steps):
        raise _refused("sound", value, 'write the names on the way to it, such as ["audio"]')
    return tuple(steps)


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _refused(name, value, "write true or false")
    return value


def _refused(name: str, value: object, remedy: str) -> UsageError:
    return UsageError(f"tts.socket.{name} = {value!r:.80} is not allowed", remedy)


def _has_all(message: Table, wanted: Table) -> bool:
    return all(message.get(key) == value for key, value in wanted.items())
