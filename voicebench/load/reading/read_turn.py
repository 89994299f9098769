"""A turn as the reader read it, and its sealing by the parsers of the synchronous clients.

The reader's loop keeps the bytes and their moments. `seal` gives them to the same clients that take
turns over connections of their own: they see recorded answers, and each event gets the moment at
which its bytes were read. So one set of parsers decides what a token is, what sound is, and what is
a failure. This takes milliseconds a turn; it is done in another process.

Sound whose bytes were not kept is read as zeros, which gives its length. Only sound that was kept
is looked at for the first sound, levels, and whether it is speech.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from voicebench.audio.pcm import AudibleRule
from voicebench.errors import EngineError
from voicebench.events import (
    AudioChunk,
    Connected,
    Event,
    Phase,
    TextChunk,
    TurnFailed,
    TurnFinished,
    TurnInterrupted,
    TurnStarted,
)
from voicebench.load.reading.http_exchange import ReadExchange
from voicebench.load.reading.http_framing import AnswerHead
from voicebench.load.reading.read_log import ReadLog
from voicebench.load.reading.read_sealing import CUT_OFF, sealed
from voicebench.remote.clients.http_engine import HttpSpeech
from voicebench.remote.clients.openai_chat import OpenAiChat
from voicebench.remote.connection.answer import Answer
from voicebench.remote.connection.http import HttpRequest, HttpService
from voicebench.remote.connection.recorded_answer import (
    RecordedAnswer,
    RecordedClock,
    RecordedHead,
    RecordedPiece,
)
from voicebench.secrecy import NO_SECRETS, Secrets
from voicebench.turn.playback import Arrival
from voicebench.turn.recorder import Recording
from voicebench.turn.timeline import Stamped


@dataclass(slots=True)
class ReadReply:
    """One answer: its exchange, and the log of its body."""

    exchange: ReadExchange
    log: ReadLog

    @property
    def was_abandoned(self) -> bool:
        """Whether it was given up before anything came."""
        return self.exchange.head is None and self.exchange.error is None


@dataclass(slots=True)
class ReadChunk:
    """A text chunk and its speech; None if the text cannot be spoken, or nothing was asked."""

    at_ns: int
    text: str
    speech: ReadReply | None = None


@dataclass(slots=True)
class ReadCascade:
    """A turn of a cascade, as it was read. Moments of the recorder's clock."""

    prompt: str
    started_ns: int
    started_at: str
    chat: ReadReply | None = None
    chunks: list[ReadChunk] = field(default_factory=list)
    ended_ns: int = 0
    cut_ns: int | None = None
    """When its caller interrupted it, by hanging up; None if not."""
    was_cut_off: bool = False
    """Whether it was still open when the level ended."""

    def events(self, clients: CascadeClients) -> tuple[list[Stamped], list[Arrival]]:
        """Return the events, and the arrivals of sound whose bytes were not kept."""
        return _Sealing(self, clients).events()

    def seal(
        self,
        turn: int,
        phase: Phase,
        rule: AudibleRule,
        secrets: Secrets = NO_SECRETS,
        *,
        clients: CascadeClients,
    ) -> Recording:
        """Return the finished turn. Raises `voicebench.errors.IllegalEvent` if it breaks a rule."""
        events, later = self.events(clients)
        return sealed(
            events, later, self.started_at, turn=turn, phase=phase, rule=rule, secrets=secrets
        )


@dataclass(frozen=True)
class CascadeClients:
    """The synchronous clients of both servers of a cascade; they need no connection here."""

    llm: OpenAiChat
    tts: HttpSpeech

    def request_of_prompt(self, prompt: str) -> bytes:
        """Return the bytes of the request that asks for the reply to ``prompt``."""
        return _request_of(self.llm, self.llm.reply(prompt))

    def request_of_speech(self, text: str) -> bytes | None:
        """Return the bytes of the request for the speech of a chunk; None if it has no speech."""
        try:
            return _request_of(self.tts, self.tts.speak(text))
        except StopIteration:
            return None


class _Asked(Exception):
    """A client has made its request."""

    def __init__(self, request: HttpRequest) -> None:
        super().__init__()
        self.request = request


def _request_of(client: HttpService, events: Iterator[object]) -> bytes:
    """Return the request that a client makes when its first event is asked for.

    Raises `StopIteration` if it makes none.
    """

    def note(request: HttpRequest) -> Answer:
        raise _Asked(request)

    client.exchanges = note
    try:
        next(events)
    except _Asked as asked:
        return client.bytes_of(asked.request)
    finally:
        client.exchanges = None
    raise AssertionError("a client yields an event before it asks")


def answer_of(client: HttpService, reply: ReadReply, clock: RecordedClock) -> Answer:
    """Return a recorded answer as ``client`` takes it. Raises `RemoteError` if there was none."""
    exchange = reply.exchange
    error = None if exchange.error is None else exchange.error.error()
    if exchange.head is None:
        clock.now_ns = exchange.ended_ns
        assert error is not None
        raise error
    return RecordedAnswer(
        client,
        _recorded_head(exchange, exchange.head),
        exchange.connected or Connected(0.0, reused=False),
        _pieces(reply, clock),
        clock=clock,
        error=error,
    )


@contextmanager
def replayed(client: HttpService, reply: ReadReply) -> Iterator[RecordedClock]:
    """Give ``reply`` to ``client`` as the answer to what it asks within the block.

    The clock follows the bytes as they are taken.
    """
    clock = RecordedClock(reply.exchange.sent_ns)
    client.exchanges = lambda _request: answer_of(client, reply, clock)
    try:
        yield clock
    finally:
        client.exchanges = None


def _recorded_head(exchange: ReadExchange, head: AnswerHead) -> RecordedHead:
    return RecordedHead(head.status, head.headers, head.version, exchange.sent_ns, exchange.head_ns)


def _pieces(reply: ReadReply, clock: RecordedClock) -> Iterator[RecordedPiece]:
    """Yield the pieces; those of one read, or that had waited for us, have one arrival."""
    arrival, before_ns = 0, -1
    for piece in reply.log.pieces():
        had_waited = piece.lag_ns is not None and piece.at_ns - piece.lag_ns <= before_ns
        if piece.at_ns != before_ns and not had_waited:
            arrival += 1
        before_ns = piece.at_ns
        yield RecordedPiece(piece.at_ns, arrival, piece.data)
    clock.now_ns = reply.exchange.ended_ns


class _Sealing:
    """Makes the events of one turn."""

    def __init__(self, read: ReadCascade, clients: CascadeClients) -> None:
        self._read = read
        self._clients = clients
        self._events: list[Stamped] = []
        self._later: list[Arrival] = []

    def events(self) -> tuple[list[Stamped], list[Arrival]]:
        read = self._read
        llm_failed = self._chat()
        tts_failed = None
        for chunk in read.chunks:
            self._add(chunk.at_ns, TextChunk(chunk.text))
            tts_failed = self._speech(chunk)
            if tts_failed is not None:
                break
        ended_ns = read.ended_ns
        if tts_failed is not None:
            ended_ns = min(ended_ns, tts_failed.at_ns)
        last = tts_failed or llm_failed
        end = CUT_OFF if read.was_cut_off else last.event if last else TurnFinished()
        kept = [event for event in self._events if event.at_ns <= ended_ns]
        kept.sort(key=lambda event: event.at_ns)
        later = [arrival for arrival in self._later if arrival.at_ns <= ended_ns]
        if read.cut_ns is not None:
            kept.append(Stamped(read.cut_ns, TurnInterrupted("hung up")))
            end = TurnFinished()
        started = Stamped(read.started_ns, TurnStarted(read.prompt))
        return [started, *kept, Stamped(ended_ns, end)], later

    def _add(self, at_ns: int, event: Event) -> None:
        self._events.append(Stamped(at_ns, event))

    def _chat(self) -> Stamped | None:
        reply, client = self._read.chat, self._clients.llm
        if reply is None or reply.was_abandoned:
            return None
        with replayed(client, reply) as clock:
            try:
                with closing(client.reply(self._read.prompt)) as events:  # type: ignore[type-var]
                    for event in events:
                        self._add(clock.now_ns, event)
                client.look_back()
            except EngineError as error:
                return Stamped(clock.now_ns, _failed(error, "llm"))
        return None

    def _speech(self, chunk: ReadChunk) -> Stamped | None:
        reply, client = chunk.speech, self._clients.tts
        if reply is None or reply.was_abandoned:
            return None
        kept_until_ns = _kept_until_ns(reply.log)
        with replayed(client, reply) as clock:
            try:
                with closing(client.speak(chunk.text)) as events:  # type: ignore[type-var]
                    for event in events:
                        if isinstance(event, AudioChunk) and clock.now_ns > kept_until_ns:
                            self._later.append(Arrival(clock.now_ns, int(event.pcm.size)))
                        else:
                            self._add(clock.now_ns, event)
            except EngineError as error:
                return Stamped(clock.now_ns, _failed(error, "tts"))
        return None


def _kept_until_ns(log: ReadLog) -> float:
    """Return when the last piece was read whose bytes were kept; infinity if all were."""
    if log.kept_pieces == len(log.at_ns):
        return float("inf")
    return log.at_ns[log.kept_pieces - 1] if log.kept_pieces else -1


def _failed(error: EngineError, stage: str) -> TurnFailed:
    assert stage in ("llm", "tts")
    return TurnFailed(str(error), error.fault, error.stage or stage)  # type: ignore[arg-type]
