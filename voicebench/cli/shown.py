"""Lines for people: without keys, and without characters that control a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voicebench.secrecy import Secrets

_kept: list[Secrets] = []
"""The keys in the settings of this command."""


def keep_secret(secrets: Secrets) -> None:
    """Hide ``secrets`` in every line that this command prints from now on."""
    _kept.append(secrets)


def forget_secrets() -> None:
    """Forget all secrets, when a new command begins."""
    _kept.clear()


def shown(text: str) -> str:
    """Return ``text``, of one line or several, as it may be printed."""
    from voicebench.quoting import neutral

    for secrets in _kept:
        text = secrets.hidden_in(text)
    return neutral(text)


def to_stderr(line: str) -> None:
    """Print a line to stderr."""
    print(shown(line), file=sys.stderr)
