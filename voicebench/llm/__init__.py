"""Language models: what turns the user's words into the reply's tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from voicebench.events import LlmEvent


class LanguageModel(Protocol):
    """Anything that answers a prompt as a stream of tokens, in process or over a wire."""

    def reply(self, prompt: str) -> Iterator[LlmEvent]:
        """Yield the reply to ``prompt``, each token the moment it is in hand.

        Closing the iterator cancels the reply. Raises `voicebench.errors.EngineError`.
        """
        ...

    def describe(self) -> dict[str, object]:
        """Return what a reader of the results must know: engine, model, device, dtype, …"""
        ...

    def close(self) -> None:
        """Release the model or the connection."""
        ...


@runtime_checkable
class LooksBack(Protocol):
    """A language model whose reply may turn out not to be over after it has ended."""

    def look_back(self) -> None:
        """Raise `voicebench.errors.EngineError` where what came since belies the reply's end.

        Called when the reply has been spoken, so that nobody waits for it.
        """
        ...


@runtime_checkable
class Interruptible(Protocol):
    """A language model whose next token may be long in coming, and that can be woken up."""

    def interrupt(self) -> None:
        """Make a running `reply` fail at once; called from another thread."""
        ...
