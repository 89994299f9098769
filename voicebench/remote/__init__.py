"""Reaching what runs somewhere else, and timing it truthfully.

A remote engine is measured from this side of the wire, by this side's clock. What would falsify
that is kept out or made visible here:

- **Connections** (`dialling`, `http`, `websocket`) are opened before the turn and reused; what
  opening took is reported beside the turn, and so is whether the connection had served before.
- **Reads** give what is there at once, and say whether it was already waiting: several text deltas
  in one arrival are several tokens, but the gaps between them are not the server's.
- **Time** (`timeouts`) is bounded in four ways, each a setting. Nothing waits for ever.
- **Size** is bounded: header, line, message, body, text, sound.
- **Failures** (`failure`) become one sentence, a kind of fault and a stage.
- **Keys** (`access`) are known by the name of an environment variable; their values go into a
  request header and nowhere else.

Retries are off. Redirects and proxies are off unless asked for, and the environment's proxy
settings are not looked at.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Remote(Protocol):
    """What runs somewhere else: an engine or a target whose connection has to be looked after."""

    def check(self) -> None:
        """Open the connection now, or raise `voicebench.errors.CannotMeasure` naming the URL."""
        ...

    def prepare(self) -> None:
        """Bring the connection into the state in which the next turn shall find it.

        It is open afterwards, or closed where every turn shall connect anew (``cold``). To measure
        the first turn after a silent gap, do not call this: the turn then finds what is left of
        the connection. Raises `voicebench.errors.CannotMeasure`.
        """
        ...
