"""Targets: everything that can answer a prompt with speech.

`Target` is the contract. `TargetKind` is what a kind of target says of itself; the table of all
kinds is `voicebench.targets.kinds.KINDS`. docs/explanation/extending.md shows how to add one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from voicebench.events import Emit, Event
from voicebench.text.chat_template import PastMessage

if TYPE_CHECKING:
    from voicebench.settings import Settings

Say = Callable[[str], None]
"""Take one line of progress, for people who wait."""


class Target(Protocol):
    """Takes a prompt and pushes the events of one voice turn."""

    def run(self, prompt: str, emit: Emit) -> None:
        """Answer ``prompt``: push `TurnStarted` first, exactly one terminal event last.

        A failure of the engine or the server is a `TurnFailed` event, never an exception.
        """
        ...

    def describe(self) -> dict[str, object]:
        """Return what a reader of the results must know; ``url`` for each server that is used."""
        ...

    def close(self) -> None:
        """Release models and connections."""
        ...


@runtime_checkable
class Conversing(Protocol):
    """A target that can answer a prompt after other messages."""

    def in_conversation(self, earlier: Sequence[PastMessage], scope: str) -> Target:
        """Return the same target after the messages ``earlier``: user and model in turn.

        The engines are shared. What was computed in a turn with the same ``scope`` may be used
        again, and nothing else.
        """
        ...


@runtime_checkable
class Cancellable(Protocol):
    """A target whose running turn can be cut off, as by a listener who interrupts."""

    def cancel(self, heard_s: float = 0.0) -> None:
        """Stop the turn that another thread takes; do nothing if none is under way.

        `TurnInterrupted` is emitted as the request to stop goes out. Sound may still come; then
        the turn ends with `TurnFinished`, and the target can take the next one. ``heard_s`` is how
        much of the reply the listener has heard, for servers that keep a conversation.
        """
        ...


class TargetKind:
    """One kind of target: its name, its settings, how it is checked and how it is opened.

    The methods here suit a target that runs in this process and has no settings. A kind overrides
    what is different.
    """

    name: str
    """The value of ``run.target``. After a name that ends with ``:`` come parameters."""
    example: str
    """How ``run.target`` is written, for messages; empty if no command can measure it."""
    why_no_history: str | None = None
    """Why it cannot answer after the messages of a conversation; None if it can (`Conversing`)."""
    hides: tuple[type[Event], ...] = ()
    """The events that cannot be observed; metrics that need them are missing."""

    def settings_from_url(self, url: str) -> dict[str, object] | None:
        """Return the settings that ``--server URL`` stands for; None if the URL is not for this.

        ``url`` is a URL that `urllib.parse.urlsplit` can read.
        """
        del url
        return None

    def check(self, settings: Settings) -> None:
        """Raise `UsageError` for settings that cannot work. Loads nothing; takes milliseconds."""

    def reach(self, settings: Settings, *, voice_only: bool) -> None:
        """Connect to every server and hang up. Raises `CannotMeasure` naming the URL.

        This happens before models are fetched. ``voice_only``: no language model is needed.
        """

    def models(self, settings: Settings, *, voice_only: bool) -> list[str]:
        """Return the names of the models and voices that are computed in this process."""
        del settings, voice_only
        return []

    def open(self, settings: Settings, say: Say) -> Target:
        """Load or connect the target. Raises a `VoicebenchError` if that fails."""
        raise NotImplementedError

    def wires(self, settings: Settings) -> tuple[str, ...]:
        """Return the wires to the target, as `voicebench.checks.transports` names them."""
        del settings
        return ()

    def served_names(
        self, settings: Settings, description: Mapping[str, object]
    ) -> dict[str, object]:
        """Return the settings whose value is the server's to say, such as ``llm.model``.

        Their values come from the open target's ``description``; they are None before that, or
        if the server does not say.
        """
        del settings, description
        return {}
