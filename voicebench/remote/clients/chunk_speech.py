"""The speech of one text chunk over a WebSocket, read from a server's messages by its dialect."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping

from voicebench.events import Remark, TtsEvent
from voicebench.remote.clients.socket_dialect import SocketDialect
from voicebench.remote.connection.socket_messages import Beginning, Incoming
from voicebench.remote.connection.timeouts import WaitBudget
from voicebench.remote.connection.websocket import SocketService
from voicebench.remote.failure import RemoteError, message_in
from voicebench.remote.formats.json_text import json_object, text_at
from voicebench.remote.sound.sound_format import SoundFormat
from voicebench.remote.sound.sound_stream import SoundStream
from voicebench.remote.sound.speech import AnswerSpeech
from voicebench.remote.sound.sse_sound import decode_base64

MAX_MESSAGES = 200_000
"""Messages for one text; more is speech without end."""


class ChunkSpeech:
    """The speech of the text chunk with this ``number``, as its messages come in."""

    def __init__(
        self,
        service: SocketService,
        dialect: SocketDialect,
        sound: SoundFormat,
        speech: AnswerSpeech,
        number: str,
    ) -> None:
        self._service = service
        self._dialect = dialect
        self._speech = speech
        self._number = number
        self._has_ended = False
        self._is_own = dialect.own is None
        """Whether messages that name no text are of this one."""
        self._messages = Messages(service, dialect)
        self._stream = SoundStream(sound)

    def events(self, budget: WaitBudget) -> Iterator[TtsEvent]:
        """Yield the speech, to its end. Raises `RemoteError`."""
        for _ in range(MAX_MESSAGES):
            message = self._messages.next(budget)
            self._speech.read_ns = self._messages.read_ns
            if isinstance(message, Beginning):
                # Only a whole text message shows which text it is of, and whether it holds sound.
                if self._is_own if message.kind == "binary" else self._dialect.sound:
                    yield from self._speech.message_begins()
            elif isinstance(message, bytes):
                if message and self._is_own:
                    yield from self._speech.decode(message, self._stream)
                elif message:
                    yield Remark("late sound")
            else:
                yield from self._read(message)
                self._speech.message_is_other()
                if self._has_ended:
                    return
        raise self._service.failure(f"sends more than {MAX_MESSAGES} messages for one text")

    def check_end(self) -> Iterator[Remark]:
        """Check what came after the speech and before its text.

        Yields a remark on sound from before the text was sent. Raises `RemoteError` where more of
        this speech came after its end.
        """
        for incoming in self._service.received():
            message = self._messages.read(incoming)
            named = not isinstance(message, Mapping) or self._is_of_this(message)
            if named and self._is_own and self._sound_in(message):
                raise self._service.failure("sends sound after the end of it")
        for data in self._service.set_aside.take():
            with contextlib.suppress(RemoteError):
                if self._sound_in(data if isinstance(data, bytes) else json_object(data)):
                    yield Remark("late sound")
                    return

    def _read(self, message: Mapping[str, object]) -> Iterator[TtsEvent]:
        if not self._is_of_this(message):
            if self._sound_in(message):
                yield Remark("late sound")
            return
        sound = self._sound_in(message)
        assert isinstance(sound, str)
        for data in decode_base64(sound):
            yield from self._speech.decode(data, self._stream)
        if self._dialect.ends(message):
            yield from self._speech.finish(self._stream)
            if not self._speech.samples:
                raise self._service.failure("sends no sound for a text", fault="audio")
            self._has_ended = True
        elif not sound:
            self._messages.last_unknown = message

    def _is_of_this(self, message: Mapping[str, object]) -> bool:
        """Tell whether ``message`` is of this text: it says so, or the last one that said it did.

        Raises `RemoteError` for an end that must name its text and does not.
        """
        is_of_this = self._dialect.is_of(message, self._number)
        if is_of_this is not None:
            self._is_own = is_of_this
        elif self._dialect.own is not None and self._dialect.ends(message):
            raise self._service.failure(
                "ends a text's speech without the number of the text",
                "see what tts.socket.own says, or leave it out: each turn then connects anew",
            )
        return self._is_own

    def _sound_in(self, message: bytes | Mapping[str, object]) -> bytes | str:
        if isinstance(message, bytes):
            return message
        return text_at(message, *self._dialect.sound) if self._dialect.sound else ""


class Messages:
    """The messages of a server, JSON as objects.

    An error while waiting quotes ``last_unknown``, the last message without a known meaning.
    """

    def __init__(self, service: SocketService, dialect: SocketDialect) -> None:
        self.last_unknown: Mapping[str, object] | None = None
        self.read_ns: int | None = None
        """When the latest message was read."""
        self._service = service
        self._dialect = dialect

    def next(self, budget: WaitBudget) -> bytes | Mapping[str, object] | Beginning:
        """Return the next message, or its beginning.

        Raises `RemoteError` for one that reports a failure.
        """
        try:
            incoming = self._service.receive_part(budget)
        except RemoteError as error:
            if self.last_unknown is None:
                raise
            shown = self._service.quote(json.dumps(self.last_unknown, ensure_ascii=False))
            raise RemoteError(
                f"{error.message}; its last message that is neither sound nor the end: {shown}",
                "if that is a failure or an end, name it in tts.socket.failed or tts.socket.done",
                fault=error.fault,
                stage=error.stage,
            ) from None
        self.read_ns = incoming.read_ns
        return incoming if isinstance(incoming, Beginning) else self.read(incoming)

    def read(self, incoming: Incoming) -> bytes | Mapping[str, object]:
        """Return the message. Raises `RemoteError` for one that reports a failure."""
        if isinstance(incoming.data, bytes):
            return incoming.data
        message = json_object(incoming.data)
        if self._dialect.fails(message):
            words = self._service.quote(message_in(incoming.data))
            raise self._service.failure(f"answers with an error: {words}", fault="engine")
        return message
