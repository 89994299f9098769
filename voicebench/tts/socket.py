"""A synthesizer behind a WebSocket: text chunks go in as they come, sound comes out.

Deepgram, Cartesia, ElevenLabs and many a self-made server work so, each in words of its own; a
`SocketDialect` holds the words. For a text chunk its ``chunk`` messages are sent, templates in
which ``{text}`` stands for the text and ``{id}`` for the chunk's number; sound comes in binary
messages, or in base64 at ``sound`` within JSON; a message that has all of ``done`` ends the chunk's
speech.

`SocketSpeech.speak` speaks one chunk and waits for its end. `SocketSpeech.speak_stream` sends every
chunk the moment it comes, while the sound of the one before is still coming.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterator, Mapping

from voicebench.errors import EngineError
from voicebench.events import Emit, FirstByte, TextChunk, TtsEvent
from voicebench.remote.access import Access
from voicebench.remote.failure import RemoteError, message_in
from voicebench.remote.json_text import json_object, text_at
from voicebench.remote.sound import SoundFormat, SoundStream, load_decoder, open_sound
from voicebench.remote.speech import Heard, OneRate, decode_base64
from voicebench.remote.template import filled
from voicebench.remote.timeouts import Patience
from voicebench.remote.websocket import SocketLine
from voicebench.tts.socket_dialect import SocketDialect
from voicebench.tts.speakable import speakable

MAX_MESSAGES = 200_000


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
            self._send(text, patience)
            speech = _Speech(self._line, self._dialect, self._sound, Heard(self._rate))
            for _ in range(MAX_MESSAGES):
                yield from speech.receive(patience)
                if speech.ended:
                    break
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
            while sending.wait_for_more():
                patience = self._line.new_patience()
                speech = _Speech(self._line, self._dialect, self._sound, Heard(self._rate))
                for _ in range(MAX_MESSAGES):
                    for event in speech.receive(patience):
                        emit(event)
                    if speech.ended:
                        break
                sending.one_is_spoken()
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
        } | self._line.access.describe()

    def close(self) -> None:
        """Say goodbye and hang up."""
        self._line.close()

    def _greet(self, line: SocketLine, patience: Patience) -> None:
        for message in self._dialect.opening:
            line.send(_encoded(message), patience)
        if self._dialect.ready is None:
            return
        heard = _Messages(line, self._dialect)
        while True:
            incoming = heard.next(patience)
            if not isinstance(incoming, bytes):
                if self._dialect.begins(incoming):
                    return
                heard.unknown(incoming)

    def _send(self, text: str, patience: Patience) -> None:
        number = str(next(self._numbers))
        for template in self._dialect.chunk:
            self._line.send(_encoded(filled(template, {"text": text, "id": number})), patience)

    def _send_now(self, text: str) -> None:
        self._send(text, self._line.new_patience())

    def _blamed(self, error: EngineError) -> RemoteError:
        if isinstance(error, RemoteError) and error.stage is not None:
            return error
        return self._line.failure(
            f"fails: {self._line.quote(error.message)}", error.remedy, fault=error.fault
        )


class _Speech:
    """The speech of one text chunk while its messages come in."""

    def __init__(
        self, line: SocketLine, dialect: SocketDialect, sound: SoundFormat, heard: Heard
    ) -> None:
        self.ended = False
        self._line = line
        self._dialect = dialect
        self._heard = heard
        self._messages = _Messages(line, dialect)
        self._stream: SoundStream = open_sound(sound)

    def receive(self, patience: Patience) -> Iterator[TtsEvent]:
        """Wait for the next message and yield what it brings."""
        message = self._messages.next(patience)
        if isinstance(message, bytes):
            yield from self._take(message)
            return
        sound = text_at(message, *self._dialect.sound) if self._dialect.sound else ""
        yield from self._take(decode_base64(sound))
        if self._dialect.ends(message):
            if not self._heard.empty:
                yield from self._heard.take(self._stream.finish(), self._stream.sample_rate)
            if not self._heard.samples:
                raise self._line.failure("sends no sound for a text", fault="audio")
            self.ended = True
        elif not sound:
            self._messages.unknown(message)

    def _take(self, data: bytes) -> Iterator[TtsEvent]:
        if data and self._heard.empty:
            self._heard.empty = False
            yield FirstByte()
        if data:
            yield from self._heard.take(self._stream.feed(data), self._stream.sample_rate)


class _Messages:
    """The messages of a server, JSON ones as objects; a wait that ends in vain quotes the last."""

    def __init__(self, line: SocketLine, dialect: SocketDialect) -> None:
        self._line = line
        self._dialect = dialect
        self._unknown: Mapping[str, object] | None = None

    def next(self, patience: Patience) -> bytes | Mapping[str, object]:
        """Return the next message. Raises `RemoteError` where it tells of a failure."""
        try:
            incoming = self._line.receive(patience).data
        except RemoteError as error:
            if self._unknown is None:
                raise
            said = self._line.quote(json.dumps(self._unknown, ensure_ascii=False))
            raise RemoteError(
                f"{error.message}; its last message that is neither sound nor the end: {said}",
                "if that is a failure or an end, name it in tts.socket.failed or tts.socket.done",
                fault=error.fault,
                stage=error.stage,
            ) from None
        if isinstance(incoming, bytes):
            return incoming
        message = json_object(incoming)
        if self._dialect.fails(message):
            said = self._line.quote(message_in(incoming))
            raise self._line.failure(f"answers with an error: {said}", fault="engine")
        return message

    def unknown(self, message: Mapping[str, object]) -> None:
        """Remember a message that means nothing here."""
        self._unknown = message


class _Sending:
    """The thread that sends text chunks as they come, and the count of those not yet spoken."""

    def __init__(self, send: Callable[[str], None], chunks: Iterator[str], emit: Emit) -> None:
        self._send = send
        self._chunks = chunks
        self._emit = emit
        self._changed = threading.Condition()
        self._unspoken = 0
        self._exhausted = False
        self._stopped = False
        self._error: BaseException | None = None

    def start(self) -> None:
        """Begin to send."""
        threading.Thread(target=self._send_all, name="voicebench-text", daemon=True).start()

    def wait_for_more(self) -> bool:
        """Wait until a chunk has been sent that is not yet spoken; False when none will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._unspoken or self._exhausted)
            if self._error is not None:
                raise self._error
            return self._unspoken > 0

    def one_is_spoken(self) -> None:
        """Count one chunk as spoken."""
        with self._changed:
            self._unspoken -= 1

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
                    self._send(text)
                    self._unspoken += 1
                    self._changed.notify_all()
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._exhausted = True
                self._changed.notify_all()


def _encoded(message: object) -> str:
    return message if isinstance(message, str) else json.dumps(message)
