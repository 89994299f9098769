"""The speech of one text chunk over a WebSocket, read from a server's messages by its dialect."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping

from voicebench.events import Remark, TtsEvent
from voicebench.remote.clients.socket_dialect import SocketDialect
from voicebench.remote.connection.open_socket import Beginning, Incoming
from voicebench.remote.connection.timeouts import WaitBudget
from voicebench.remote.connection.websocket import SocketLine
from voicebench.remote.failure import RemoteError, message_in
from voicebench.remote.formats.json_text import json_object, text_at
from voicebench.remote.sound.sound_stream import SoundFormat, SoundStream, open_sound
from voicebench.remote.sound.speech import SpeechSoFar, decode_base64


class ChunkSpeech:
    """The speech of one text chunk while its messages come in."""

    def __init__(
        self,
        line: SocketLine,
        dialect: SocketDialect,
        sound: SoundFormat,
        heard: SpeechSoFar,
        number: str,
    ) -> None:
        self.ended = False
        self._line = line
        self._dialect = dialect
        self._heard = heard
        self._number = number
        self._is_named = dialect.own is None
        self._messages = Messages(line, dialect)
        self._stream: SoundStream = open_sound(sound)

    def receive(self, patience: WaitBudget) -> Iterator[TtsEvent]:
        """Wait for the next message and yield what it brings."""
        message = self._messages.next(patience)
        if isinstance(message, Beginning):
            # A text message says whose it is, and whether it holds sound, when it is whole.
            if self._is_named if message.kind == "binary" else self._dialect.sound:
                yield from self._heard.begin()
        elif isinstance(message, bytes):
            if message and self._is_named:
                yield from self._take(message)
            elif message:
                yield Remark("late sound")
        else:
            yield from self._read(message)
            self._heard.other()

    def check_end(self) -> None:
        """Raise `RemoteError` where more sound is there though this speech has ended."""
        for incoming in self._line.received():
            message = self._messages.read(incoming)
            named = not isinstance(message, Mapping) or self._names(message)
            if named and self._is_named and self._sound_in(message):
                raise self._line.failure("sends sound after the end of it")

    def told_late(self) -> Iterator[Remark]:
        """Yield the remark on what came before this text was sent, if it was sound."""
        for message in self._line.set_aside.take():
            with contextlib.suppress(RemoteError):
                if self._sound_in(message if isinstance(message, bytes) else json_object(message)):
                    yield Remark("late sound")
                    return

    def _read(self, message: Mapping[str, object]) -> Iterator[TtsEvent]:
        if not self._names(message):
            if self._sound_in(message):
                yield Remark("late sound")
            return
        sound = self._sound_in(message)
        assert isinstance(sound, str)
        for data in decode_base64(sound):
            yield from self._take(data)
        if self._dialect.ends(message):
            if not self._heard.empty:
                yield from self._heard.take(self._stream.finish(), self._stream.sample_rate)
            if not self._heard.samples:
                raise self._line.failure("sends no sound for a text", fault="audio")
            self.ended = True
        elif not sound:
            self._messages.unknown(message)

    def _names(self, message: Mapping[str, object]) -> bool:
        """Whether ``message`` is of this text, as it says or as the last one that said it."""
        named = self._dialect.is_of(message, self._number)
        if named is not None:
            self._is_named = named
        elif self._dialect.own is not None and self._dialect.ends(message):
            raise self._line.failure(
                "ends a text's speech without the number of the text",
                "see what tts.socket.own says, or leave it out: each turn then connects anew",
            )
        return self._is_named

    def _sound_in(self, message: bytes | Mapping[str, object]) -> bytes | str:
        if isinstance(message, bytes):
            return message
        return text_at(message, *self._dialect.sound) if self._dialect.sound else ""

    def _take(self, data: bytes) -> Iterator[TtsEvent]:
        yield from self._heard.first_byte()
        yield from self._heard.take(self._stream.feed(data), self._stream.sample_rate)


class Messages:
    """The messages of a server, JSON ones as objects; a wait that ends in vain quotes the last."""

    def __init__(self, line: SocketLine, dialect: SocketDialect) -> None:
        self._line = line
        self._dialect = dialect
        self._unknown: Mapping[str, object] | None = None

    def next(self, patience: WaitBudget) -> bytes | Mapping[str, object] | Beginning:
        """Return the next message, or that it has begun.

        Raises `RemoteError` where it tells of a failure.
        """
        try:
            incoming = self._line.receive_part(patience)
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
        return incoming if isinstance(incoming, Beginning) else self.read(incoming)

    def read(self, incoming: Incoming) -> bytes | Mapping[str, object]:
        """Return the message. Raises `RemoteError` where it tells of a failure."""
        if isinstance(incoming.data, bytes):
            return incoming.data
        message = json_object(incoming.data)
        if self._dialect.fails(message):
            said = self._line.quote(message_in(incoming.data))
            raise self._line.failure(f"answers with an error: {said}", fault="engine")
        return message

    def unknown(self, message: Mapping[str, object]) -> None:
        """Remember a message that means nothing here."""
        self._unknown = message
