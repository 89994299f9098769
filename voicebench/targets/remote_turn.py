"""A turn over a WebSocket: events are emitted as they arrive, and the turn always ends."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial

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
from voicebench.remote.connection.peer import Peer
from voicebench.remote.connection.timeouts import WaitBudget
from voicebench.remote.connection.websocket import SocketService
from voicebench.remote.failure import RemoteError
from voicebench.targets.cancelling import RunningReply
from voicebench.targets.socket_answer import SocketAnswer, TurnsBefore
from voicebench.text.visible import Remarks, VisibleText, visible_reply

STOP_S = 5.0
"""How long an interrupted server may take to say that it has stopped."""
MAX_EVENTS = 200_000
"""The limit for the events of one turn."""


class SocketTarget:
    """A `Target` that sends a prompt over a WebSocket and emits the events that come back."""

    def __init__(self, service: SocketService) -> None:
        self.service = service
        self.before = TurnsBefore()
        """What is remembered of the turns so far."""
        self.answer: SocketAnswer | None = None
        """The answer to the running turn, or to the latest one."""
        self._running: RunningReply | None = None
        self._ask: Callable[[float], None] | None = None

    def greeting(self, seconds: float) -> list[str | bytes]:
        """Return what the server says within ``seconds`` to an open connection, before any turn."""
        return self.service.greeting(seconds)

    @property
    def has_connection_a_turn(self) -> bool:
        """Whether a connection serves one turn only."""
        raise NotImplementedError

    def new_answer(self, prompt: str) -> SocketAnswer:
        """Return the answer to ``prompt``, the next turn; nothing is sent yet."""
        raise NotImplementedError

    def setting_up(self) -> Generator[str | None, str | bytes]:
        """Yield what sets a new connection up, before any turn: messages to send.

        None asks for the server's next message, which is sent into the generator. Raises
        `RemoteError` if the server refuses.
        """
        yield from ()

    def _answer(self, prompt: str) -> Generator[Event]:
        """Send ``prompt``, and yield what comes back."""
        connected, budget = self.service.begin()
        yield connected
        self.answer = answer = self.new_answer(prompt)
        try:
            for message in answer.request():
                self.service.send(message, budget)
            self._stops_by(budget, answer.cancelling)
            for _ in range(MAX_EVENTS):
                yield from answer.take(self.service.receive_part(budget))
                if answer.done:
                    yield from answer.end(self.service.received(), self.service.set_aside.take())
                    return
        finally:
            self.before = answer.after()
        raise too_many_events(self.service)

    def run(self, prompt: str, emit: Emit) -> None:
        """Take one turn.

        After a failure the connection is closed, so that nothing of this turn can fall into the
        next one. The turn always ends: as failed for an `EngineError`; any other exception is
        raised after that.
        """
        running = RunningReply(emit)
        emit = running.emit
        self.service.make_ready()
        emit(TurnStarted(prompt))
        self._running = running
        try:
            self._emit_answer(prompt, emit)
        except EngineError as error:
            self.service.drop()
            if running.how is not None and error.fault == "timeout":
                running.end_unconfirmed()
            else:
                emit(_failed(error, self.service))
        except BaseException as error:
            self.service.drop()
            if isinstance(error, KeyboardInterrupt):
                emit(TurnFailed("interrupted by the user", "interrupted", "turn"))
            else:
                emit(TurnFailed(type(error).__name__, "engine", "turn"))
            raise
        else:
            self.service.end()
        finally:
            self._running = self._ask = None

    def cancel(self, heard_s: float = 0.0) -> None:
        """Ask the server to stop, and wait for its word at most `STOP_S` longer.

        If it never says that it stopped, the connection is closed and the turn ends without that.
        """
        running, ask = self._running, self._ask
        if running is not None and ask is not None:
            running.interrupt("asked", partial(ask, heard_s))

    def _stops_by(self, budget: WaitBudget, messages: Callable[[float], Iterable[str]]) -> None:
        """Say how the running turn is stopped: by ``messages``, which take the seconds heard."""

        def ask(heard_s: float) -> None:
            # A connection that breaks here fails the turn, in the thread that receives.
            with suppress(EngineError):
                for message in messages(heard_s):
                    self.service.send(message, budget)
            budget.end_within(STOP_S)

        self._ask = ask

    def _emit_answer(self, prompt: str, emit: Emit) -> None:
        ended, characters = False, 0
        with closing(self._answer(prompt)) as answer:
            for event in _visible(answer, self.service):
                characters += len(event.text) if isinstance(event, Token | Reply) else 0
                if characters > MAX_REPLY_CHARS:
                    raise self.service.failure(
                        f"sends a reply of more than {MAX_REPLY_CHARS} letters"
                    )
                emit(event)
                ended = isinstance(event, TurnFinished | TurnFailed)
        if not ended:
            emit(TurnFinished())

    def check(self) -> None:
        """Open the connection now, or raise `RemoteError` naming the URL."""
        self.service.check()

    def prepare(self) -> None:
        """Bring the connection into the state in which the next turn has to find it."""
        self.service.prepare()

    def close(self) -> None:
        """Close the connection with the closing handshake."""
        self.service.close()


def too_many_events(service: Peer) -> RemoteError:
    """Return the error for a turn with more than `MAX_EVENTS` messages."""
    return service.failure(f"sends more than {MAX_EVENTS} events in one turn")


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
                    yield Token(shown, joined and not after_hidden, read_ns=event.read_ns)
                # A token that arrived together with hidden text has no visible token before it.
                after_hidden = not shown
            case Reply(whole):
                reply = visible_reply(whole)
                yield from remarks.of(reply.withheld)
                if not reply.text:
                    raise service.failure("sent a reply with nothing to speak", fault="engine")
                yield Reply(reply.text, read_ns=event.read_ns)
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
