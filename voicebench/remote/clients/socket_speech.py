"""A synthesizer behind a WebSocket: text chunks go in as they come, sound comes out.

Deepgram, Cartesia, ElevenLabs and many self-made servers work like this, each with its own
messages, which a `SocketDialect` describes. For a text chunk its ``chunk`` messages are sent:
templates in which ``{text}`` stands for the text and ``{id}`` for the chunk's number. Sound comes
in binary messages, or in base64 at ``sound`` within JSON. A message that has all of ``done`` ends
the chunk's speech.

**The sound of one turn must not count for another.** If the server names the text of its sound
(``own``), all other sound is ignored. If not, each turn has a connection of its own, opened before
the turn. Sound that comes before a text is sent is never of that text.

`SocketSpeech.speak` speaks one chunk and waits for its end. `SocketSpeech.speak_stream` sends every
chunk the moment it comes, while the sound of the one before is still coming.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping

from voicebench.errors import EngineError
from voicebench.events import Emit, TextChunk, TtsEvent
from voicebench.remote.clients.chunk_speech import ChunkSpeech, Messages
from voicebench.remote.clients.socket_dialect import SocketDialect
from voicebench.remote.connection.access import Access
from voicebench.remote.connection.timeouts import WaitBudget
from voicebench.remote.connection.websocket import SocketService
from voicebench.remote.formats.template import filled
from voicebench.remote.sound.sound_format import SoundFormat
from voicebench.remote.sound.sound_stream import load_decoder
from voicebench.remote.sound.speech import AnswerSpeech, SharedRate
from voicebench.text.speakable import speakable

LINGER_S = 0.1
"""How long to listen to a connection after its only turn, for sound after the end."""


class SocketSpeech(SocketService):
    """A `Synthesizer` behind a WebSocket.

    ``sound`` describes the sound: these servers send raw PCM, so its rate has to be set. Raises
    `voicebench.errors.UsageError` for a URL or a key that cannot be used.
    """

    def __init__(
        self, url: str, dialect: SocketDialect, sound: SoundFormat, access: Access | None = None
    ) -> None:
        self._dialect = dialect
        self._sound = sound
        super().__init__(url, access or Access(), "tts", set_up=self._begin_session)
        self._rate = SharedRate()
        self._numbers = itertools.count(1)
        load_decoder(sound.kind)

    def speak(self, text: str) -> Iterator[TtsEvent]:
        """Yield the speech of ``text`` as it comes; nothing for a text that cannot be spoken.

        Closing the iterator hangs up, which tells the server to stop. Raises `RemoteError`.
        """
        if not speakable(text):
            return
        try:
            with self.adding_context():
                connected, budget = self.begin()
                yield connected
                speech = self._speech(self._send(text, budget))
                yield from speech.events(budget)
                yield from speech.check_end()
                self.end()
        except (GeneratorExit, EngineError):
            self.drop()
            raise

    def speak_stream(self, chunks: Iterator[str], emit: Emit) -> None:
        """Speak ``chunks``, each sent and emitted as `TextChunk` the moment it comes.

        A server that would speak two texts at once gets each text when the one before is spoken.
        Returns when all is spoken. Raises `RemoteError`, and what ``chunks`` raises.
        """
        if not self._dialect.in_order:
            for text in chunks:
                emit(TextChunk(text))
                for event in self.speak(text):
                    emit(event)
            return
        sender = _Sender(self._send_now, self.clear, chunks, emit)
        try:
            with self.adding_context():
                connected, _ = self.begin()
                emit(connected)
                sender.start()
                speech = None
                while (number := sender.wait_for_unspoken()) is not None:
                    budget = self.wait_budget()
                    speech = self._speech(number)
                    for event in speech.events(budget):
                        emit(event)
                    sender.count_spoken()
                for remark in speech.check_end() if speech else ():
                    emit(remark)
                self.end()
        finally:
            if not sender.stop():
                self.drop()

    def prepare(self) -> None:
        """Bring the connection into the state in which the next turn has to find it."""
        if self._dialect.own is None:
            self.drop_used(LINGER_S)
        super().prepare()

    def describe(self) -> dict[str, object]:
        """Return what a reader of the results must know."""
        return {
            "engine": "socket",
            "url": self.shown_url,
            "device": "remote",
            "sound": self._sound.kind,
            "sample_rate": self._rate.known or self._sound.sample_rate,
            "turns_apart_by": "connection" if self._dialect.own is None else "id",
        } | self.access.describe()

    def _begin_session(self, service: SocketService, budget: WaitBudget) -> None:
        """Send the opening messages, and wait until the server is ready."""
        for message in self._dialect.opening:
            service.send(_encoded(message), budget)
        if self._dialect.ready is None:
            return
        messages = Messages(service, self._dialect)
        while True:
            incoming = messages.next(budget)
            if isinstance(incoming, Mapping):
                if self._dialect.is_ready(incoming):
                    return
                messages.last_unknown = incoming

    def _speech(self, number: str) -> ChunkSpeech:
        speech = AnswerSpeech(self._rate)
        return ChunkSpeech(self, self._dialect, self._sound, speech, number)

    def _send(self, text: str, budget: WaitBudget) -> str:
        """Send a text and return its number."""
        number = str(next(self._numbers))
        for template in self._dialect.chunk:
            message = filled(template, {"text": text, "id": number})
            self.send(_encoded(message), budget)
        return number

    def _send_now(self, text: str) -> str:
        return self._send(text, self.wait_budget())


class _Sender:
    """A thread that sends text chunks as they come, and the queue of those not yet spoken.

    ``send`` sends a text and returns its number; ``clear`` sets messages aside that came before
    it. Both are called in the thread.
    """

    def __init__(
        self,
        send: Callable[[str], str],
        clear: Callable[[], None],
        chunks: Iterator[str],
        emit: Emit,
    ) -> None:
        self._send = send
        self._clear = clear
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

    def wait_for_unspoken(self) -> str | None:
        """Wait for a chunk that is sent and not yet spoken, and return its number.

        None when no further one will come. Raises what the thread raised.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._unspoken or self._exhausted)
            if self._error is not None:
                raise self._error
            return self._unspoken[0] if self._unspoken else None

    def count_spoken(self) -> None:
        """Count the oldest chunk as spoken."""
        with self._changed:
            self._unspoken.popleft()

    def stop(self) -> bool:
        """Send and emit no further chunk; return whether all were spoken."""
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
                    if not self._unspoken:
                        self._clear()
                    self._unspoken.append(self._send(text))
                    self._changed.notify_all()
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._exhausted = True
                self._changed.notify_all()


def _encoded(message: object) -> str:
    return message if isinstance(message, str) else json.dumps(message)
