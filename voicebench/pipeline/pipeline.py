"""The pipeline: a language model, the chunker and a synthesizer at work together.

The reply's tokens come in one thread; the synthesizer speaks in the calling thread. Between them
is the chunker and a queue of text chunks, so the first chunk is spoken while the reply is still
being written. With ``sequential`` the first chunk is handed over only when the reply is complete,
as a naive pipeline does it.

Every event is emitted in the thread in which it arose, the moment it is in hand. A text chunk is
"handed over" when the synthesizer takes it from the queue and begins.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import TypeVar, cast

from voicebench.errors import EngineError, VoicebenchError
from voicebench.events import (
    AudioChunk,
    Emit,
    Fault,
    Reply,
    Stage,
    TextChunk,
    Token,
    TurnFailed,
    TurnFinished,
    TurnStarted,
)
from voicebench.pipeline.protocols import (
    Interruptible,
    LanguageModel,
    LooksBack,
    OpeningSpeaker,
    Synthesizer,
    TextStreamSpeaker,
)
from voicebench.pipeline.scheduling import FreeForAll
from voicebench.text.chunking import Chunker

_Yielded = TypeVar("_Yielded")


class StageError(Exception):
    """An engine failed: which stage, and the error itself."""

    def __init__(self, stage: Stage, error: BaseException) -> None:
        super().__init__(str(error))
        self.stage: Stage = stage
        self.error = error


def run_turn(
    prompt: str,
    emit: Emit,
    *,
    llm: LanguageModel,
    tts: Synthesizer,
    chunker: Chunker,
    sequential: bool = False,
    schedule: FreeForAll | None = None,
) -> None:
    """Answer ``prompt`` aloud: push the events of one whole turn.

    An engine's `VoicebenchError` ends the turn as failed. Any other exception is a defect: the
    turn is ended as failed, so that it is on record, and the exception goes on.
    """
    with whole_turn(prompt, emit):
        _Turn(
            emit,
            llm=llm,
            tts=tts,
            chunker=chunker,
            sequential=sequential,
            schedule=schedule or FreeForAll(),
        ).run(prompt)


def write_turn(
    prompt: str, emit: Emit, *, llm: LanguageModel, schedule: FreeForAll | None = None
) -> None:
    """Answer ``prompt`` in text alone: push the events of one whole turn without a voice.

    Failures end the turn as `run_turn` does it.
    """
    schedule = schedule or FreeForAll()
    with whole_turn(prompt, emit), _stage("llm", schedule):
        reply = llm.reply(prompt)
        with closing(_closable(reply)):
            for event in steps(reply, schedule.token_step):
                emit(event)
                if isinstance(event, Token):
                    schedule.text_out()


def speak_turn(
    text: str, emit: Emit, *, tts: Synthesizer, schedule: FreeForAll | None = None
) -> None:
    """Speak ``text`` as it is: push the events of one whole turn of one text chunk.

    Failures end the turn as `run_turn` does it.
    """
    schedule = schedule or FreeForAll()
    with whole_turn(text, emit), _stage("tts", schedule):
        _speak_chunk(text, emit, tts, schedule, is_opening=True)


@contextmanager
def whole_turn(prompt: str, emit: Emit) -> Iterator[None]:
    """Begin a turn, and end it as finished or failed by what happens within."""
    emit(TurnStarted(prompt))
    try:
        yield
    except StageError as failure:
        emit(_failed_turn(failure))
        if not isinstance(failure.error, VoicebenchError):
            raise failure.error from None
    except KeyboardInterrupt:
        emit(TurnFailed("interrupted by the user", "interrupted", "turn"))
        raise
    else:
        emit(TurnFinished())


@contextmanager
def _stage(stage: Stage, schedule: FreeForAll) -> Iterator[None]:
    """Blame ``stage`` for an error within, and let others go when it is over."""
    try:
        yield
    except Exception as error:
        raise StageError(stage, error) from error
    finally:
        schedule.give_way()


def speak_text(
    pieces: Iterator[str],
    emit: Emit,
    *,
    tts: Synthesizer,
    chunker: Chunker,
) -> None:
    """Speak text as it arrives, without a language model; the pieces are not tokens of a reply.

    Emits text chunks and audio only; the caller starts and ends the turn. Raises what the
    synthesizer raises.
    """
    heard = False
    closed = itertools.chain.from_iterable(map(chunker.feed, pieces))
    for chunk in itertools.chain(closed, _last_chunks(chunker)):
        heard |= _speak_chunk(chunk, emit, tts, FreeForAll(), is_opening=not heard)


def _last_chunks(chunker: Chunker) -> Iterator[str]:
    """Yield what the chunker still holds, once that is asked for."""
    yield from chunker.finish()


class _Turn:
    """One turn's two threads and the queue between them."""

    def __init__(
        self,
        emit: Emit,
        *,
        llm: LanguageModel,
        tts: Synthesizer,
        chunker: Chunker,
        sequential: bool,
        schedule: FreeForAll,
    ) -> None:
        self._emit = emit
        self._llm = llm
        self._tts = tts
        self._chunker = chunker
        self._sequential = sequential
        self._schedule = schedule
        self._chunks: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._cancelled = threading.Event()
        self._llm_error: BaseException | None = None

    def run(self, prompt: str) -> None:
        writer = threading.Thread(target=self._write, args=(prompt,), name="voicebench-llm")
        writer.start()
        try:
            self._speak()
        except BaseException:
            self._break_off_reply()
            raise
        finally:
            self._cancelled.set()
            self._schedule.give_way()
            writer.join()
        if self._llm_error is not None:
            raise StageError("llm", self._llm_error)
        if isinstance(self._llm, LooksBack):
            try:
                self._llm.look_back()
            except Exception as error:
                raise StageError("llm", error) from error

    def _break_off_reply(self) -> None:
        """Wake a model up that waits for a peer: its next token may be long in coming."""
        self._cancelled.set()
        if isinstance(self._llm, Interruptible):
            self._llm.interrupt()

    def _write(self, prompt: str) -> None:
        """Run the language model to its end, and queue text chunks as they close."""
        held_back: list[str] = []
        try:
            reply = self._llm.reply(prompt)
            with closing(_closable(reply)):
                for event in steps(reply, self._schedule.token_step):
                    # Nothing may come after the turn's end, however often the user asks for it.
                    if self._cancelled.is_set():
                        return
                    self._emit(event)
                    if isinstance(event, Token | Reply):
                        held_back += self._chunker.feed(event.text)
                        if not self._sequential:
                            self._hand_over(held_back)
            held_back += self._chunker.finish()
            self._hand_over(held_back)
        except BaseException as error:
            self._llm_error = error
        finally:
            self._chunks.put(None)

    def _hand_over(self, chunks: list[str]) -> None:
        for chunk in chunks:
            self._schedule.chunk_waits()
            self._chunks.put(chunk)
        chunks.clear()

    def _speak(self) -> None:
        if isinstance(self._tts, TextStreamSpeaker):
            try:
                self._tts.speak_stream(self._chunks_as_they_come(), self._emit)
            except Exception as error:
                raise StageError("tts", error) from error
            return
        heard = False
        while (chunk := self._chunks.get()) is not None:
            try:
                heard |= _speak_chunk(
                    chunk, self._emit, self._tts, self._schedule, is_opening=not heard
                )
            except Exception as error:
                raise StageError("tts", error) from error
            finally:
                self._schedule.chunk_spoken()

    def _chunks_as_they_come(self) -> Iterator[str]:
        while (chunk := self._chunks.get()) is not None:
            # Such a voice is elsewhere: it needs no turn on a device here.
            self._schedule.chunk_spoken()
            yield chunk


def _speak_chunk(
    chunk: str, emit: Emit, tts: Synthesizer, schedule: FreeForAll, *, is_opening: bool
) -> bool:
    """Speak a chunk, from the first sound on where nothing was heard before; say if audio came."""
    emit(TextChunk(chunk))
    if is_opening and isinstance(tts, OpeningSpeaker):
        speech = tts.speak_opening(chunk)
    else:
        speech = tts.speak(chunk)
    heard = False
    with closing(_closable(speech)):
        for event in steps(speech, schedule.speech_step):
            emit(event)
            if isinstance(event, AudioChunk):
                schedule.audio_out(event.pcm.size / event.sample_rate)
                heard = True
    return heard


def steps(
    source: Iterator[_Yielded], step: Callable[[], AbstractContextManager[None]]
) -> Iterator[_Yielded]:
    """Yield from ``source``, drawing each item while ``step()`` is held."""
    while True:
        with step():
            try:
                item = next(source)
            except StopIteration:
                return
        yield item


class _Closable:
    """Something with a ``close``: every generator has one, a plain iterator has not."""

    def close(self) -> None: ...


def _closable(source: Iterator[object]) -> _Closable:
    return cast(_Closable, source) if hasattr(source, "close") else _Closable()


def _failed_turn(failure: StageError) -> TurnFailed:
    fault: Fault = "engine"
    stage = failure.stage
    if isinstance(failure.error, EngineError):
        fault, stage = failure.error.fault, failure.error.stage or failure.stage
    return TurnFailed(_reason(failure.error), fault, stage)


def _reason(error: BaseException) -> str:
    if isinstance(error, VoicebenchError):
        return str(error)
    return f"{type(error).__name__}: {error}"
