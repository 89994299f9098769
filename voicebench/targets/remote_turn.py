"""A turn that is taken elsewhere as a whole: emitted as it arrives, and ended whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import cast

from voicebench.errors import EngineError
from voicebench.events import (
    Emit,
    Event,
    Fault,
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


def run_remote_turn(
    prompt: str, emit: Emit, service: SocketService, answer: Iterator[Event]
) -> None:
    """Push the events of one turn whose ``answer`` comes over ``service``.

    ``answer`` yields what comes in, a terminal event last, or none where it simply ends. A failure
    hangs up, so that nothing that is still under way can fall into the next turn; the turn ends as
    failed. Any exception that is no `EngineError` goes on after that.
    """
    emit(TurnStarted(prompt))
    try:
        with closing(cast("_Closable", answer)):
            ended, letters = False, 0
            for event in _visible(answer, service):
                letters += len(event.text) if isinstance(event, Token | Reply) else 0
                if letters > MAX_REPLY_CHARS:
                    raise service.failure(f"sends a reply of more than {MAX_REPLY_CHARS} letters")
                emit(event)
                ended = isinstance(event, TurnFinished | TurnFailed)
            if not ended:
                emit(TurnFinished())
    except EngineError as error:
        service.drop()
        emit(_failed(error, service))
    except BaseException as error:
        service.drop()
        fault: Fault = "interrupted" if isinstance(error, KeyboardInterrupt) else "engine"
        what = "interrupted by the user" if fault == "interrupted" else f"{type(error).__name__}"
        emit(TurnFailed(what, fault, "turn"))
        raise
    else:
        service.end()


def _visible(answer: Iterator[Event], service: SocketService) -> Iterator[Event]:
    """Yield ``answer`` without text that nobody should hear (`voicebench.text.visible`)."""
    text, remarks = VisibleText(), Remarks()
    begins_anew = False
    for event in answer:
        match event:
            case Token(piece, joined):
                shown = text.push(piece)
                yield from remarks.of(text.withheld)
                if shown:
                    yield Token(shown, joined and not begins_anew)
                # What is joined to something withheld has no moment of a token before it.
                begins_anew = not shown
            case Reply(whole):
                reply = visible_reply(whole)
                yield from remarks.of(reply.withheld)
                if not reply.text:
                    raise service.failure("sent a reply with nothing to speak", fault="engine")
                yield Reply(reply.text)
            case Usage(tokens, hidden=0) if text.had_thought:
                yield Usage(tokens, hidden=None)
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


class _Closable:
    """Something with a ``close``, as every generator is."""

    def close(self) -> None: ...


def _failed(error: EngineError, service: SocketService) -> TurnFailed:
    reason = str(error)
    if not reason.startswith(service.shown_url):
        reason = f"{service.shown_url}: {service.quote(reason)}"
    return TurnFailed(reason, error.fault, error.stage or service.stage)
