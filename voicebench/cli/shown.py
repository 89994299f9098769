"""What a command says to people in a line: without keys, and without what a terminal obeys."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voicebench.secrecy import Secrets

_kept: list[Secrets] = []
"""The keys of the servers that this command was told of."""


def keep_secret(secrets: Secrets) -> None:
    """Let no line that this command prints from now on repeat any of ``secrets``."""
    _kept.append(secrets)


def forget_secrets() -> None:
    """Begin a command."""
    _kept.clear()


def shown(text: str) -> str:
    """Return ``text``, maybe of several lines, as it may be printed."""
    from voicebench.quoting import neutral

    for secrets in _kept:
        text = secrets.hidden_in(text)
    return neutral(text)


def tell(line: str) -> None:
    """Print a line to stderr."""
    print(shown(line), file=sys.stderr)
