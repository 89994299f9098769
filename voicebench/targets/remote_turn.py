"""A turn over a WebSocket: events are emitted as they arrive, and the turn always ends."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace

from voicebench.errors import EngineError
from voicebench.events import (
    Emit,
    Event,
    Reply,
    Token,
    TurnFailed,
    TurnFinished,
    TurnStarted,
    Usage,
)
from voicebench.remote.clients.openai_reply import MAX_REPLY_CHARS
from voicebench.remote.connection.websocket import SocketService
from voicebench.text.visible import Remarks, VisibleText, visible_reply


class SocketTarget:
    """A `Target` that sends a prompt over a WebSocket and emits the events that come back."""

    def __init__(self, service: SocketService) -> None:
        self._service = service

    def _answer(self, prompt: str) -> Generator[Event]:
        """Send ``prompt``, and yield what comes back.

        The last event is a terminal one, unless the answer simply ends.
        """
        raise NotImplementedError

    def run(self, prompt: str, emit: Emit) -> None:
        """Take one turn.

        After a failure the connection is closed, so that nothing of this turn can fall into the
        next one. The turn always ends: as failed for an `EngineError`; any other exception is
        raised after that.
        """
        emit(TurnStarted(prompt))
        try:
            self._emit_answer(prompt, emit)
        except EngineError as error:
            self._service.drop()
            emit(_failed(error, self._service))
        except BaseException as error:
            self._service.drop()
            if isinstance(error, KeyboardInterrupt):
                emit(TurnFailed("interrupted by the user", "interrupted", "turn"))
            else:
                emit(TurnFailed(type(error).__name__, "engine", "turn"))
            raise
        else:
            self._service.end()

    def _emit_answer(self, prompt: str, emit: Emit) -> None:
        ended, characters = False, 0
        with closing(self._answer(prompt)) as answer:
            for event in _visible(answer, self._service):
                characters += len(event.text) if isinstance(event, Token | Reply) else 0
                if characters > MAX_REPLY_CHARS:
                    raise self._service.failure(
                        f"sends a reply of more than {MAX_REPLY_CHARS} letters"
                    )
                emit(event)
                ended = isinstance(event, TurnFinished | TurnFailed)
        if not ended:
            emit(TurnFinished())

    def check(self) -> None:
        """Open the connection now, or raise `RemoteError` naming the URL."""
        self._service.check()

    def prepare(self) -> None:
        """Bring the connection into the state in which the next turn has to find it."""
        self._service.prepare()

    def close(self) -> None:
        """Close the connection with the closing handshake."""
        self._service.close()


def _visible(answer: Iterator[Event], service: SocketService) -> Iterator[Event]:
    """Yield ``answer`` without hidden text (`voicebench.text.visible`)."""
    text, remarks = VisibleText(), Remarks()
    after_hidden = False
    for event in answer:
        match event:
            case Token(piece, joined):
                shown = text.push(piece)
                yield from remarks.of(text.withheld)
                if shown:
                    yield Token(shown, joined and not after_hidden)
                # A token that arrived together with hidden text has no visible token before it.
                after_hidden = not shown
            case Reply(whole):
                reply = visible_reply(whole)
                yield from remarks.of(reply.withheld)
                if not reply.text:
                    raise service.failure("sent a reply with nothing to speak", fault="engine")
                yield Reply(reply.text)
            case Usage(hidden=0) if text.had_thought:
                yield replace(event, hidden=None)
            case TurnFinished():
                yield from _rest(text, service)
                yield event
            case _:
                yield event


def _rest(text: VisibleText, service: SocketService) -> Iterator[Token]:
    if text.is_thinking:
        raise service.failure("ended the reply in the middle of its reasoning", fault="engine")
    rest = text.finish()
    if rest:
        yield Token(rest)


def _failed(error: EngineError, service: SocketService) -> TurnFailed:
    reason = str(error)
    if not reason.startswith(service.shown_url):
        reason = f"{service.shown_url}: {service.quote(reason)}"
    return TurnFailed(reason, error.fault, error.stage or service.stage)
