"""A synthesizer behind a WebSocket: text chunks go in as they come, sound comes out.

Deepgram, Cartesia, ElevenLabs and many a self-made server work so, each in words of its own; a
`SocketDialect` holds the words. For a text chunk its ``chunk`` messages are sent, templates in
which ``{text}`` stands for the text and ``{id}`` for the chunk's number; sound comes in binary
messages, or in base64 at ``sound`` within JSON; a message that has all of ``done`` ends the chunk's
speech.

**One turn's sound must not be taken for another's.** Where the server names the text that its sound
is of (``own``), every other sound is passed over. Where it does not, each turn has a connection of
its own, opened before the turn. What comes before a text is sent is no sound of it in any case.

`SocketSpeech.speak` speaks one chunk and waits for its end. `SocketSpeech.speak_stream` sends every
chunk the moment it comes, while the sound of the one before is still coming.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Protocol

from voicebench.errors import EngineError
from voicebench.events import Emit, TextChunk, TtsEvent
from voicebench.remote.clients.chunk_speech import ChunkSpeech, Messages
from voicebench.remote.clients.socket_dialect import SocketDialect
from voicebench.remote.connection.access import Access
from voicebench.remote.connection.timeouts import WaitBudget
from voicebench.remote.connection.websocket import SocketLine
from voicebench.remote.failure import RemoteError
from voicebench.remote.formats.template import filled
from voicebench.remote.sound.sound_stream import SoundFormat, load_decoder
from voicebench.remote.sound.speech import OneRate, SpeechSoFar
from voicebench.text.speakable import speakable

MAX_MESSAGES = 200_000
LINGER_S = 0.1
"""How long a connection is listened to after its only turn, for sound after the end."""


class SocketSpeech:
    """A `Synthesizer` behind a WebSocket.

    ``sound`` says what the sound is: these servers send raw PCM, so its rate has to be set. Raises
    `voicebench.errors.UsageError` for a URL or a key that cannot be.
    """

    def __init__(
        self,
        url: str,
        dialect: SocketDialect,
        sound: SoundFormat,
        access: Access | None = None,
    ) -> None:
        self._dialect = dialect
        self._sound = sound
        self._line = SocketLine(url, access or Access(), "tts", greet=self._greet)
        self._rate = OneRate()
        self._numbers = itertools.count(1)
        load_decoder(sound.kind)

    def speak(self, text: str) -> Iterator[TtsEvent]:
        """Yield the speech of ``text`` as it comes; nothing where there is nothing to say.

        Closing the iterator hangs up, which tells the server to stop. Raises `RemoteError`.
        """
        if not speakable(text):
            return
        try:
            connected, patience = self._line.begin()
            yield connected
            speech = self._speech(self._send(text, patience))
            for _ in range(MAX_MESSAGES):
                yield from speech.receive(patience)
                if speech.ended:
                    break
            speech.check_end()
            yield from speech.told_late()
            self._line.end()
        except GeneratorExit:
            self._line.drop()
            raise
        except EngineError as error:
            self._line.drop()
            raise self._blamed(error) from None

    def speak_stream(self, chunks: Iterator[str], emit: Emit) -> None:
        """Speak ``chunks``, each sent and emitted as `TextChunk` the moment it comes.

        A server that would speak two texts at once gets each when the one before is spoken. Returns
        when all is spoken. Raises `RemoteError`, and what ``chunks`` raises.
        """
        if not self._dialect.in_order:
            for text in chunks:
                emit(TextChunk(text))
                for event in self.speak(text):
                    emit(event)
            return
        sending = _Sending(self._send_now, chunks, emit)
        try:
            connected, _ = self._line.begin()
            emit(connected)
            sending.start()
            speech = None
            while (number := sending.wait_for_more()) is not None:
                patience = self._line.new_patience()
                speech = self._speech(number)
                for _ in range(MAX_MESSAGES):
                    for event in speech.receive(patience):
                        emit(event)
                    if speech.ended:
                        break
                sending.one_is_spoken()
            if speech is not None:
                speech.check_end()
                for remark in speech.told_late():
                    emit(remark)
            self._line.end()
        except EngineError as error:
            raise self._blamed(error) from None
        finally:
            if not sending.stop():
                self._line.drop()

    def check(self) -> None:
        """Open the connection now, or raise `RemoteError` naming the URL."""
        self._line.check()

    def prepare(self) -> None:
        """Bring the connection into the state in which the next turn shall find it."""
        if self._dialect.own is None:
            self._line.drop_used(LINGER_S)
        self._line.prepare()

    def interrupt(self) -> None:
        """Make running speech fail at once; called from another thread."""
        self._line.interrupt()

    def describe(self) -> dict[str, object]:
        """Return what a reader of the results must know."""
        return {
            "engine": "socket",
            "url": self._line.shown_url,
            "device": "remote",
            "sound": self._sound.kind,
            "sample_rate": self._rate.known or self._sound.sample_rate,
            "turns_apart_by": "connection" if self._dialect.own is None else "id",
        } | self._line.access.describe()

    def close(self) -> None:
        """Say goodbye and hang up."""
        self._line.close()

    def _greet(self, line: SocketLine, patience: WaitBudget) -> None:
        for message in self._dialect.opening:
            line.send(_encoded(message), patience)
        if self._dialect.ready is None:
            return
        heard = Messages(line, self._dialect)
        while True:
            incoming = heard.next(patience)
            if isinstance(incoming, Mapping):
                if self._dialect.begins(incoming):
                    return
                heard.unknown(incoming)

    def _speech(self, number: str) -> ChunkSpeech:
        return ChunkSpeech(self._line, self._dialect, self._sound, SpeechSoFar(self._rate), number)

    def _send(self, text: str, patience: WaitBudget) -> str:
        """Send a text and return its number."""
        number = str(next(self._numbers))
        for template in self._dialect.chunk:
            self._line.send(_encoded(filled(template, {"text": text, "id": number})), patience)
        return number

    def _send_now(self, text: str, *, is_awaited: bool) -> str:
        """Send a text of a stream; ``is_awaited``: sound of one before it is still to come."""
        if not is_awaited:
            self._line.clear()
        return self._send(text, self._line.new_patience())

    def _blamed(self, error: EngineError) -> RemoteError:
        if isinstance(error, RemoteError) and error.stage is not None:
            return error
        return self._line.failure(
            f"fails: {self._line.quote(error.message)}", error.remedy, fault=error.fault
        )


class _Send(Protocol):
    """Sends one text of a stream and returns its number."""

    def __call__(self, text: str, *, is_awaited: bool) -> str: ...


class _Sending:
    """The thread that sends text chunks as they come, and the count of those not yet spoken."""

    def __init__(self, send: _Send, chunks: Iterator[str], emit: Emit) -> None:
        self._send = send
        self._chunks = chunks
        self._emit = emit
        self._changed = threading.Condition()
        self._unspoken: deque[str] = deque()
        self._exhausted = False
        self._stopped = False
        self._error: BaseException | None = None

    def start(self) -> None:
        """Begin to send."""
        threading.Thread(target=self._send_all, name="voicebench-text", daemon=True).start()

    def wait_for_more(self) -> str | None:
        """Wait until a chunk has been sent that is not yet spoken, and return its number.

        None when no further one will come.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._unspoken or self._exhausted)
            if self._error is not None:
                raise self._error
            return self._unspoken[0] if self._unspoken else None

    def one_is_spoken(self) -> None:
        """Count one chunk as spoken."""
        with self._changed:
            self._unspoken.popleft()

    def stop(self) -> bool:
        """Let no further chunk be sent or emitted; say whether all were spoken."""
        with self._changed:
            self._stopped = True
            return self._exhausted and not self._unspoken and self._error is None

    def _send_all(self) -> None:
        try:
            for text in self._chunks:
                if not speakable(text):
                    continue
                with self._changed:
                    if self._stopped:
                        return
                    self._emit(TextChunk(text))
                    number = self._send(text, is_awaited=bool(self._unspoken))
                    self._unspoken.append(number)
                    self._changed.notify_all()
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._exhausted = True
                self._changed.notify_all()


def _encoded(message: object) -> str:
    return message if isinstance(message, str) else json.dumps(message)
