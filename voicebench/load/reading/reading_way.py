"""How the reader reaches the servers of a target: clients, addresses, and the lines of callers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from voicebench.audio.pcm import AudibleRule
from voicebench.load.reading.cascade_turn import CascadeTurn
from voicebench.load.reading.cascade_way import CascadeLines, CascadeWay
from voicebench.load.reading.heard_reply import Heard
from voicebench.load.reading.http_line import HttpLine
from voicebench.load.reading.read_socket import ReadSocket
from voicebench.load.reading.read_turn import CascadeClients, ReadCascade
from voicebench.load.reading.reading_loop import ReadingLoop, Where
from voicebench.load.reading.socket_line import SocketLine
from voicebench.load.reading.socket_turn import SocketTurn
from voicebench.load.reading.turn_extras import TurnExtras
from voicebench.remote.clients.http_engine import HttpSpeech
from voicebench.remote.clients.openai_chat import OpenAiChat
from voicebench.remote.connection.access import address_of
from voicebench.remote.connection.connecting import ConnectionAttempt, connect_tcp, resolve
from voicebench.remote.connection.peer import Peer
from voicebench.remote.sound.sound_format import SoundFormat
from voicebench.settings import Settings
from voicebench.targets import Target
from voicebench.targets.engine_opening import open_remote_llm, open_remote_tts
from voicebench.targets.kinds import kind_of
from voicebench.targets.reaching import reached
from voicebench.targets.remote_turn import SocketTarget
from voicebench.targets.whole_turn import WholeTurnKind


class ReadTurn(Protocol):
    """A turn that the loop reads."""

    @property
    def read(self) -> ReadCascade | ReadSocket:
        """What was read; it can be sent to another process."""
        ...

    @property
    def has_ended(self) -> bool:
        """Whether it is over."""
        ...

    def cut_off(self) -> None:
        """End it as unfinished."""
        ...

    def largest_lag_ns(self) -> int | None:
        """Return the largest lag of our reads up to first audio; None without kernel stamps."""
        ...

    def heard(self) -> Heard:
        """Return until when its caller listened."""
        ...


class CallerLine(Protocol):
    """The connections of one caller."""

    @property
    def is_open(self) -> bool:
        """Whether the next turn can begin at once."""
        ...

    @property
    def setup_ns(self) -> int | None:
        """How long it took to open; None if it is not open."""
        ...

    def open(self) -> None:
        """Begin to connect where no connection is open."""
        ...

    def hang_up(self) -> None:
        """Close all connections."""
        ...

    def begin(
        self,
        prompt: str,
        kept_bytes: int | None,
        done: Callable[[ReadTurn], None],
        extras: TurnExtras,
    ) -> ReadTurn:
        """Begin a turn; ``done`` is called once, when it has ended.

        ``kept_bytes`` of its sound are kept, from its first audible piece on; None keeps all.
        """
        ...


@dataclass(frozen=True)
class ReadingWay:
    """How one loop reaches the servers of a target."""

    servers: str
    """Their URLs as they may be shown."""
    connect_s: float
    """How long opening may take."""
    new_line: Callable[[], CallerLine]
    """Return the line of another caller, not open yet."""


def open_way(loop: ReadingLoop, settings: Settings, rule: AudibleRule) -> ReadingWay:
    """Return the way to the target's servers. Raises a `VoicebenchError` if one does not answer."""
    if settings.run.target == "cascade":
        return _cascade(loop, settings, rule)
    return _socket(loop, settings, rule)


def clients_of(settings: Settings) -> CascadeClients | SocketTarget:
    """Return the clients that take the same turns over connections of their own.

    They connect only if they are told to.
    """
    if settings.run.target == "cascade":
        return cascade_clients(settings)
    target = _new_target(settings)
    assert isinstance(target, SocketTarget)
    return target


def _new_target(settings: Settings) -> Target:
    kind = kind_of(settings)
    assert isinstance(kind, WholeTurnKind)
    return kind.client(settings)


def _cascade(loop: ReadingLoop, settings: Settings, rule: AudibleRule) -> ReadingWay:
    way = open_cascade_way(settings, rule)
    llm, tts = way.clients.llm, way.clients.tts
    chat, speech = where_is(settings.llm.url or "", llm), where_is(settings.tts.url or "", tts)

    def new_line() -> CallerLine:
        return _CascadeLine(
            way, CascadeLines(HttpLine(loop, chat, llm), HttpLine(loop, speech, tts))
        )

    connect_s = llm.access.timeouts.connect_s
    return ReadingWay(f"{llm.shown_url} and {tts.shown_url}", connect_s, new_line)


def _socket(loop: ReadingLoop, settings: Settings, rule: AudibleRule) -> ReadingWay:
    target = _new_target(settings)
    reached(target).close()
    assert isinstance(target, SocketTarget)
    where = where_is(target.service.url, target.service)

    def new_line() -> CallerLine:
        known = _new_target(settings)
        assert isinstance(known, SocketTarget)
        return _SocketLine(SocketLine(loop, where, known), rule)

    service = target.service
    return ReadingWay(service.shown_url, service.access.timeouts.connect_s, new_line)


class _CascadeLine:
    def __init__(self, way: CascadeWay, lines: CascadeLines) -> None:
        self._way = way
        self._lines = lines
        self.open, self.hang_up = lines.open, lines.hang_up

    @property
    def is_open(self) -> bool:
        return self._lines.are_open

    @property
    def setup_ns(self) -> int | None:
        return self._lines.setup_ns

    def begin(
        self,
        prompt: str,
        kept_bytes: int | None,
        done: Callable[[ReadTurn], None],
        extras: TurnExtras,
    ) -> ReadTurn:
        return CascadeTurn(self._way, self._lines, prompt, kept_bytes, done, extras=extras)


class _SocketLine:
    def __init__(self, line: SocketLine, rule: AudibleRule) -> None:
        self._line = line
        self._rule = rule
        self.open, self.hang_up = line.open, line.hang_up

    @property
    def is_open(self) -> bool:
        return self._line.is_open

    @property
    def setup_ns(self) -> int | None:
        return self._line.setup_ns

    def begin(
        self,
        prompt: str,
        kept_bytes: int | None,
        done: Callable[[ReadTurn], None],
        extras: TurnExtras,
    ) -> ReadTurn:
        return SocketTurn(self._line, prompt, kept_bytes, self._rule, done, extras=extras)


def cascade_clients(settings: Settings) -> CascadeClients:
    """Return the clients of both servers; they connect only if they are told to."""
    llm, tts = open_remote_llm(settings), open_remote_tts(settings)
    assert isinstance(llm, OpenAiChat)
    assert isinstance(tts, HttpSpeech)
    return CascadeClients(llm, tts)


def open_cascade_way(settings: Settings, rule: AudibleRule) -> CascadeWay:
    """Return what all turns share, with the servers' own names where none are set.

    Raises a `VoicebenchError` if a server does not answer.
    """
    clients = cascade_clients(settings)
    for client in (clients.llm, clients.tts):
        client.check()
        client.close()
    tts = settings.tts
    return CascadeWay(
        clients,
        SoundFormat("auto", tts.encoding, tts.sample_rate, tts.channels),
        settings.chunker.first_words,
        settings.chunker.later_words,
        settings.run.sequential,
        settings.wire.turn_s,
        rule,
    )


def where_is(url: str, peer: Peer) -> Where:
    """Return the address at ``url`` that takes a connection. Raises `RemoteError`."""
    attempt = ConnectionAttempt(peer)
    with connect_tcp(resolve(address_of(url, "http", "ws"), attempt), attempt) as sock:
        return int(sock.family), sock.getpeername()
