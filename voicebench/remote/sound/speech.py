"""An HTTP answer that holds speech, as events: sound as it can be decoded, or why it is none.

Before a byte counts, the status and the content type are looked at. `FirstByte` is the first byte
of the body, a container's header included; an `AudioChunk` is whole samples. Sound may also come in
base64 within server-sent events (OpenAI's ``stream_format: "sse"``: ``speech.audio.delta`` and
``speech.audio.done``). The events are read to the end of the body, so that an error counts whenever
it comes; sound after ``speech.audio.done`` disproves that end, and what is not known is remarked.

A body that is called text, or anything else that is no sound, and begins with a container's mark is
sound all the same: a web framework that is handed bytes calls them ``text/html`` unless it is told
otherwise, and Piper's own server does not tell it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voicebench.events import AudioChunk, FirstByte, Remark, TtsEvent
from voicebench.remote.connection.answer import Answer
from voicebench.remote.failure import RemoteError, message_in
from voicebench.remote.formats.json_text import json_object, text_at
from voicebench.remote.formats.sse import EventStream, ServerSentEvent
from voicebench.remote.formats.told_failure import names_failure, told_failure, told_without_content
from voicebench.remote.sound.marks import MARK_BYTES, SoundKind, marked_kind
from voicebench.remote.sound.sound_stream import (
    SoundFormat,
    SoundStream,
    load_decoder,
    may_be_sound,
    open_sound,
)

MAX_SPEECH_S = 1800.0
"""Seconds of sound that one answer may take; compressed silence is small."""
BASE64_PIECE = 1 << 16
"""Characters that are decoded at a time: a multiple of four. They hold a second of sound."""
_SSE = "text/event-stream"


class SpeechReader:
    """Reads the answers of one synthesizer; all its speech has one sample rate.

    ``declared`` is what the settings say of the sound, ``asked`` the format asked for.
    """

    def __init__(self, declared: SoundFormat, asked: SoundKind | None = None) -> None:
        self._declared = declared
        self._asked = asked
        load_decoder(declared.kind, asked)
        self.rate = OneRate()

    @property
    def sample_rate(self) -> int | None:
        """The rate of all speech so far, None as long as there was none."""
        return self.rate.known

    def read(self, answer: Answer) -> Iterator[TtsEvent]:
        """Yield the speech in ``answer``. Raises `RemoteError`."""
        yield answer.connected
        answer.require_success()
        kind, parameters = answer.content_type
        in_events = kind == _SSE
        told = "" if in_events else kind
        if not may_be_sound(told):
            if marked_kind(answer.peek(MARK_BYTES)) is None:
                raise answer.failure(
                    f"answers {kind} instead of sound: {answer.quoted_beginning()}",
                    "check the URL's path",
                )
            told = ""
        with answer.adding_context():
            stream = open_sound(
                self._declared,
                told,
                parameters if told else {},
                answer.headers,
                self._asked,
            )
        heard = SpeechSoFar(self.rate)
        yield from self._chunks(answer, stream, heard, in_events=in_events)
        yield from answer.server_timing()
        if not heard.samples:
            held = (
                "an event stream without sound" if in_events else "a header and no sample of sound"
            )
            nothing = "no byte of sound" if heard.empty else held
            raise answer.failure(f"answers {answer.status} with {nothing}", fault="audio")

    def _chunks(
        self, answer: Answer, stream: SoundStream, heard: SpeechSoFar, *, in_events: bool
    ) -> Iterator[TtsEvent]:
        events = AudioEvents(answer) if in_events else None
        for piece in answer.pieces():
            yield from heard.first_byte()
            with answer.adding_context():
                for data in events.feed(piece.data) if events else (piece.data,):
                    if isinstance(data, Remark):
                        yield data
                    else:
                        yield from heard.take(stream.feed(data), stream.sample_rate)
        with answer.adding_context():
            if events:
                events.finish(heard=heard.samples > 0)
            if not heard.empty:
                yield from heard.take(stream.finish(), stream.sample_rate)


@dataclass(slots=True)
class OneRate:
    """The sample rate of all that a peer says, once it is known: a turn has one."""

    known: int | None = None

    def check(self, rate: int) -> None:
        """Raise `RemoteError` where ``rate`` is another."""
        if self.known not in (None, rate):
            raise RemoteError(
                f"the sound has {rate} Hz after sound of {self.known} Hz", fault="audio"
            )
        self.known = rate


class SpeechSoFar:
    """How much came so far of one answer's speech."""

    def __init__(self, one_rate: OneRate) -> None:
        self.samples = 0
        self.empty = True
        self._begun = False
        self._one_rate = one_rate

    def begin(self) -> Iterator[FirstByte]:
        """Yield `FirstByte` for a message that has begun, and may bring the first sound.

        What it was is known when it is whole: `first_byte` says that it was sound, `other` that it
        was not.
        """
        if self.empty:
            self._begun = True
            yield FirstByte()

    def other(self) -> None:
        """Note that a whole message is no sound."""
        self._begun = False

    def first_byte(self) -> Iterator[FirstByte]:
        """Yield `FirstByte` if this is the first sound and its beginning was not seen."""
        if self.empty:
            self.empty = False
            if not self._begun:
                yield FirstByte()

    def take(self, pcm: NDArray[np.float32], rate: int | None) -> Iterator[AudioChunk]:
        """Yield ``pcm`` unless it is empty. Raises `RemoteError` where it cannot be used."""
        if not pcm.size or rate is None:
            return
        self._one_rate.check(rate)
        self.samples += pcm.size
        if self.samples > MAX_SPEECH_S * rate:
            raise RemoteError(
                f"sound without end: more than {MAX_SPEECH_S:g} s in one answer", fault="audio"
            )
        if not np.isfinite(pcm).all():
            raise RemoteError("the sound holds samples that are no numbers", fault="audio")
        yield AudioChunk(pcm, rate)


class AudioEvents:
    """Sound in base64 within server-sent events: takes their bytes, gives the sound's."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._events = EventStream()
        self._typed = self._done = self._remarked = False

    def feed(self, data: bytes) -> Iterator[bytes | Remark]:
        """Take the next bytes and yield the sound of the events that they complete.

        The first event that the protocol does not know is remarked. Raises `RemoteError`.
        """
        for event in self._events.feed(data):
            text = event.data.strip()
            if text == "[DONE]":
                self._done = True
            elif text or names_failure(event.name):
                yield from self._take(event)

    def finish(self, *, heard: bool) -> None:
        """Raise `RemoteError` where the events broke off before they said they were done.

        ``heard`` says whether there was sound; where not, what came beside the events is shown.
        """
        stray = self._answer.quote(message_in(self._events.stray))
        if stray and not heard:
            raise self._answer.failure(
                f"answers with an event stream without sound: {stray}", fault="audio"
            )
        if self._typed and not self._done:
            raise self._answer.failure("broke the speech off before it was done", fault="audio")

    def _take(self, event: ServerSentEvent) -> Iterator[bytes | Remark]:
        try:
            fields = json_object(event.data)
        except RemoteError:
            if names_failure(event.name):
                raise self._failure(event.data) from None
            raise
        said = told_failure(fields, event.name)
        if said is not None:
            raise self._failure(said)
        kind = text_at(fields, "type") or event.name
        self._typed |= kind.endswith(".delta")
        sound = _sound_in(fields, kind)
        if sound:
            self._done = False
            yield from decode_base64(sound)
        elif kind.endswith((".done", ".delta")):
            self._done |= kind.endswith(".done")
        else:
            yield from self._look_at(fields)

    def _look_at(self, fields: Mapping[str, object]) -> Iterator[Remark]:
        """Yield a remark on an event that is neither sound nor the end."""
        said = told_without_content(fields)
        if said is not None:
            raise self._failure(said)
        if fields and not self._remarked:
            self._remarked = True
            yield Remark("unknown", self._answer.quote(json.dumps(fields, ensure_ascii=False)))

    def _failure(self, said: str) -> RemoteError:
        words = self._answer.quote(said) or "(without a word)"
        return self._answer.failure(f"failed in mid-answer: {words}", fault="engine")


def _sound_in(fields: Mapping[str, object], kind: str) -> str:
    """Return the sound of an event, in base64; the ``delta`` of a transcript is none."""
    of_sound = not kind or "audio" in kind
    return text_at(fields, "audio") or (text_at(fields, "delta") if of_sound else "")


def decode_base64(text: str) -> Iterator[bytes]:
    """Yield the bytes that ``text`` stands for, piece by piece; nothing for no text.

    Python decodes 4 MB in 20 ms, and whoever takes the pieces has the first sound before that.
    Raises `RemoteError` where ``text`` is no base64.
    """
    for begin in range(0, len(text), BASE64_PIECE):
        piece = text[begin : begin + BASE64_PIECE]
        try:
            if piece.endswith("=") and begin + BASE64_PIECE < len(text):
                raise ValueError("text after its end")
            yield base64.b64decode(piece, validate=True)
        except ValueError as error:
            raise RemoteError(f"sound that is no base64 ({error})", fault="protocol") from None
