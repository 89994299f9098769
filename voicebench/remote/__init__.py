"""Reaching engines and targets that run elsewhere, and timing them truthfully.

They are measured on this side of the wire, by this side's clock. These rules keep the figures true:

- **Connections** (`connection`) are opened before the turn and reused. How long opening took is
  reported beside the turn, and so is whether the connection was new.
- **Reads** return what is there at once, and tell whether it had been waiting: several text deltas
  in one arrival are several tokens, but the gaps between them are not the server's.
- **Time** is bounded by four limits (`connection.timeouts`), **size** by one for each header, line,
  message, body, text and sound.
- **Failures** (`failure`) become one sentence, a kind of fault and a stage.
- **Keys** (`connection.access`) are named by environment variables. Their values go into a request
  header and nowhere else.

Retries are off. Redirects and proxies are off unless set; the environment's proxies are ignored.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Remote(Protocol):
    """An engine or a target that runs elsewhere, with a connection to look after."""

    def check(self) -> None:
        """Open the connection now, or raise `voicebench.errors.CannotMeasure` naming the URL."""
        ...

    def prepare(self) -> None:
        """Bring the connection into the state in which the next turn has to find it.

        It is open afterwards, or closed where every turn has to connect anew (``cold``). Do not
        call this to measure the first turn after a silent gap: that turn finds what is left of the
        connection. Raises `voicebench.errors.CannotMeasure`.
        """
        ...
