"""An HTTP answer that holds speech becomes events: `FirstByte`, `AudioChunk`, or an error.

The status and the content type are checked before any byte counts. `FirstByte` is the first byte of
the body, a container's header included. An `AudioChunk` holds whole samples. Both were in hand when
their bytes were read; compressed sound when it is decoded. Sound may also come in base64 within
server-sent events (`voicebench.remote.sound.sse_sound`).

A body that is labelled as text, but begins with a container's signature, is read as sound: web
frameworks label bytes ``text/html`` by default, and Piper's own server leaves it at that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voicebench.events import AudioChunk, FirstByte, Remark, TtsEvent
from voicebench.remote.connection.answer import Answer
from voicebench.remote.failure import sound_error
from voicebench.remote.sound.signatures import SIGNATURE_BYTES, SoundKind, kind_by_signature
from voicebench.remote.sound.sound_format import SoundFormat, may_be_sound
from voicebench.remote.sound.sound_stream import SoundDecoder, SoundStream, load_decoder
from voicebench.remote.sound.sse_sound import SseSound

MAX_SPEECH_S = 1800.0
"""Longest sound of one answer, in seconds: silence compresses to few bytes."""
_SSE = "text/event-stream"


class SpeechReader:
    """Reads the answers of one synthesizer; all its speech has one sample rate.

    ``declared`` is what the settings say about the sound, ``asked`` the format that requests ask
    for.
    """

    def __init__(self, declared: SoundFormat, asked: SoundKind | None = None) -> None:
        self._declared = declared
        self._asked = asked
        load_decoder(declared.kind, asked)
        self.rate = SharedRate()

    def read(self, answer: Answer) -> Iterator[TtsEvent]:
        """Yield the speech in ``answer``. Raises `RemoteError`."""
        yield answer.connected
        answer.require_success()
        content_type, parameters = answer.content_type
        sse = SseSound(answer.peer) if content_type == _SSE else None
        if sse is not None:
            content_type, parameters = "", {}
        elif not may_be_sound(content_type):
            if kind_by_signature(answer.peek(SIGNATURE_BYTES)) is None:
                raise answer.peer.failure(
                    f"answers {content_type} instead of sound: {answer.quoted_beginning()}",
                    "check the URL's path",
                )
            content_type, parameters = "", {}
        with answer.peer.adding_context():
            stream = SoundStream(
                self._declared, content_type, parameters, answer.headers, self._asked
            )
        speech = AnswerSpeech(self.rate)
        yield from _read_body(answer, stream, speech, sse)
        yield from answer.server_timing()
        if not speech.samples:
            held = "an event stream without sound" if sse else "a header and no sample of sound"
            nothing = "no byte of sound" if speech.is_empty else held
            raise answer.peer.failure(f"answers {answer.status} with {nothing}", fault="audio")


def _read_body(
    answer: Answer, stream: SoundStream, speech: AnswerSpeech, sse: SseSound | None
) -> Iterator[TtsEvent]:
    for piece in answer.pieces():
        speech.read_ns = piece.read_ns
        yield from speech.first_byte()
        with answer.peer.adding_context():
            parts = sse.feed(piece.data) if sse else (piece.data,)
            yield from _heard(parts, speech, stream)
    with answer.peer.adding_context():
        if sse is not None:
            yield from _heard(sse.last(), speech, stream)
            sse.finish(has_sound=speech.samples > 0)
        yield from speech.finish(stream)


def _heard(
    parts: Iterable[bytes | Remark], speech: AnswerSpeech, stream: SoundStream
) -> Iterator[TtsEvent]:
    for part in parts:
        if isinstance(part, Remark):
            yield part
        else:
            yield from speech.decode(part, stream)


@dataclass(slots=True)
class SharedRate:
    """The sample rate of all speech of one peer, in Hz; None before the first sound."""

    known: int | None = None

    def check(self, rate: int) -> None:
        """Keep the first ``rate``. Raises `RemoteError` for another one later."""
        if self.known not in (None, rate):
            raise sound_error(f"the sound has {rate} Hz after sound of {self.known} Hz")
        self.known = rate


class AnswerSpeech:
    """Makes the events of one answer's speech, and checks its samples."""

    def __init__(self, rate: SharedRate) -> None:
        self.samples = 0
        self.is_empty = True
        """Whether no byte of sound has come."""
        self.read_ns: int | None = None
        """When the bytes were read that are taken at present."""
        self._has_begun = False
        self._rate = rate

    def message_begins(self) -> Iterator[FirstByte]:
        """Yield `FirstByte` for the first bytes of a message that may hold the first sound.

        Call `first_byte` when the whole message is sound, `message_is_other` when it is not.
        """
        if self.is_empty:
            self._has_begun = True
            yield FirstByte(read_ns=self.read_ns)

    def message_is_other(self) -> None:
        """Note that a whole message holds no sound."""
        self._has_begun = False

    def first_byte(self) -> Iterator[FirstByte]:
        """Yield `FirstByte` for the first sound, unless `message_begins` has."""
        if self.is_empty:
            self.is_empty = False
            if not self._has_begun:
                yield FirstByte(read_ns=self.read_ns)

    def decode(self, data: bytes, decoder: SoundDecoder) -> Iterator[FirstByte | AudioChunk]:
        """Yield what ``data`` completes; `FirstByte` comes before it is decoded."""
        yield from self.first_byte()
        yield from self._decoded(decoder.feed(data), decoder)

    def finish(self, decoder: SoundDecoder) -> Iterator[AudioChunk]:
        """Yield the last samples. Raises `RemoteError` for sound that is cut."""
        if not self.is_empty:
            yield from self._decoded(decoder.finish(), decoder)

    def count(self, samples: int, rate: int) -> None:
        """Count more samples. Raises `RemoteError` for sound without end."""
        self.samples += samples
        if self.samples > MAX_SPEECH_S * rate:
            raise sound_error(f"sound without end: more than {MAX_SPEECH_S:g} s in one answer")

    def _decoded(self, pcm: NDArray[np.float32], decoder: SoundDecoder) -> Iterator[AudioChunk]:
        read_ns = None if decoder.is_compressed else self.read_ns
        return self.chunk(pcm, decoder.sample_rate, read_ns)

    def chunk(
        self, pcm: NDArray[np.float32], rate: int | None, read_ns: int | None
    ) -> Iterator[AudioChunk]:
        """Yield ``pcm``, unless it is empty. Raises `RemoteError` for unusable samples."""
        if not pcm.size or rate is None:
            return
        self._rate.check(rate)
        self.count(int(pcm.size), rate)
        if not np.isfinite(pcm).all():
            raise sound_error("the sound holds samples that are not finite numbers")
        yield AudioChunk(pcm, rate, read_ns=read_ns)
