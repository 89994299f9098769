"""A server as its failures name it: the URL without secrets, the stage, the words it may quote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from voicebench.errors import EngineError
from voicebench.events import Fault, Stage
from voicebench.quoting import quote
from voicebench.remote.connection.access import Access, shown
from voicebench.remote.connection.timeouts import WaitBudget
from voicebench.remote.failure import RemoteError
from voicebench.remote.formats.json_text import json_object
from voicebench.remote.formats.reported_failure import names_failure
from voicebench.remote.formats.sse import ServerSentEvent


class Peer:
    """One server: how to reach it, and how errors speak of it.

    ``stage`` is that of the engine behind the URL. Raises `voicebench.errors.UsageError` for a key
    that cannot be sent.
    """

    def __init__(self, url: str, access: Access, stage: Stage) -> None:
        self.access = access
        self.stage: Stage = stage
        self.secrets = access.secrets()
        self.shown_url = self.secrets.hidden_in(shown(url))

    def failure(
        self,
        what: str,
        remedy: str = "",
        *,
        fault: Fault = "protocol",
        stage: Stage | None = None,
    ) -> RemoteError:
        """Return the error that this server did ``what`` (a verb and its object)."""
        return RemoteError(
            f"{self.shown_url} {self.secrets.hidden_in(what)}",
            self.secrets.hidden_in(remedy),
            fault=fault,
            stage=stage or self.stage,
        )

    def raise_reported(self, words: str | None) -> None:
        """Raise the failure that the server reports in ``words``; do nothing for None."""
        if words is not None:
            shown_words = self.quote(words) or "(without a word)"
            raise self.failure(f"failed in mid-answer: {shown_words}", fault="engine")

    def quote(self, text: str) -> str:
        """Return the server's words as an error may show them."""
        return quote(text, self.secrets)

    def fields_of(self, event: ServerSentEvent) -> Mapping[str, object]:
        """Return the JSON object in ``event``.

        Raises `RemoteError` where it is not one. An event that is named a failure may hold plain
        words; they are the error then.
        """
        try:
            return json_object(event.data)
        except RemoteError:
            if names_failure(event.name):
                self.raise_reported(event.data)
            raise

    @contextmanager
    def adding_context(self) -> Iterator[None]:
        """Add this server's URL and stage to an error about its content that has no stage."""
        try:
            yield
        except EngineError as error:
            if isinstance(error, RemoteError) and error.stage is not None:
                raise
            raise RemoteError(
                f"{self.shown_url}: {self.quote(error.message)}",
                self.quote(error.remedy),
                fault=error.fault,
                stage=self.stage,
            ) from None

    def wait_budget(self, *, in_turn: bool = True) -> WaitBudget:
        """Return the limits of an exchange that begins now.

        Between turns (``in_turn`` false) the deadline is that of a turn which is over, so it does
        not count.
        """
        deadline = self.access.deadline if in_turn else None
        return WaitBudget(
            self.access.timeouts, peer=self.shown_url, stage=self.stage, deadline=deadline
        )
