"""The pipeline: a language model, the chunker and a synthesizer at work together.

One thread reads the reply's tokens, and the calling thread speaks. The chunker and a queue of text
chunks are between them, so the first chunk is spoken while the reply is still being written. With
``sequential`` the queue stays empty until the reply is complete, as in a naive pipeline.

Every event is emitted at once, in the thread in which it arose. The event of a text chunk is
emitted when the synthesizer takes it from the queue and begins.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TypeVar

from voicebench.errors import EngineError, VoicebenchError
from voicebench.events import (
    AudioChunk,
    Emit,
    Fault,
    Reply,
    Stage,
    TextChunk,
    Token,
    TtsEvent,
    TurnFailed,
    TurnFinished,
    TurnStarted,
)
from voicebench.pipeline.protocols import (
    ContinuingSpeaker,
    Interruptible,
    LanguageModel,
    LooksBack,
    OpeningSpeaker,
    Synthesizer,
    TextStreamSpeaker,
)
from voicebench.pipeline.scheduling import FreeForAll
from voicebench.pipeline.waiting_threads import WaitingThread, WaitingThreads
from voicebench.text.chunking import Chunker

WRITER = "voicebench-llm"
"""The name of the thread that reads a reply's tokens."""
_Yielded = TypeVar("_Yielded")


class StageError(Exception):
    """An engine failed: the stage, and its error."""

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
    threads: WaitingThreads | None = None,
) -> None:
    """Answer ``prompt`` aloud, and emit the events of one whole turn.

    ``threads`` has the thread that reads the tokens; None starts one, which ends with the turn. An
    engine's `VoicebenchError` ends the turn as failed. Any other exception is a defect: it ends
    the turn as failed too, so that it is recorded, and is raised again.
    """
    turn = _Turn(
        emit,
        llm=llm,
        tts=tts,
        chunker=chunker,
        sequential=sequential,
        schedule=schedule or FreeForAll(),
    )
    started = threads or WaitingThreads(WRITER)
    try:
        with started.one() as writer, whole_turn(prompt, emit):
            turn.run(prompt, writer)
    finally:
        if threads is None:
            started.close()


def write_turn(
    prompt: str, emit: Emit, *, llm: LanguageModel, schedule: FreeForAll | None = None
) -> None:
    """Answer ``prompt`` in text only, and emit the events of one whole turn without a voice.

    Errors end the turn as in `run_turn`.
    """
    schedule = schedule or FreeForAll()
    with whole_turn(prompt, emit), _stage("llm", schedule):
        reply = llm.reply(prompt)
        with _closed(reply):
            for event in steps(reply, schedule.token_step):
                if event is None:
                    continue
                schedule.prompt_read()
                emit(event)
                if isinstance(event, Token):
                    schedule.text_out()


def speak_turn(
    text: str, emit: Emit, *, tts: Synthesizer, schedule: FreeForAll | None = None
) -> None:
    """Speak ``text`` as one text chunk, and emit the events of one whole turn.

    Errors end the turn as in `run_turn`.
    """
    schedule = schedule or FreeForAll()
    with whole_turn(text, emit), _stage("tts", schedule):
        _speak_chunk(text, emit, _Voice(tts), schedule, before=None)


@contextmanager
def whole_turn(prompt: str, emit: Emit) -> Iterator[None]:
    """Emit the start of a turn, and its end: finished, or failed by an error in the block."""
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
    """Raise an error in the block as one of ``stage``; release the device at the end."""
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
    """Speak text as it arrives, without a language model.

    Emits only text chunks and audio; the caller starts and ends the turn. Raises what the
    synthesizer raises.
    """
    before: str | None = None
    voice = _Voice(tts)
    for chunk in _chunks(pieces, chunker):
        if _speak_chunk(chunk, emit, voice, FreeForAll(), before):
            before = chunk


def _chunks(pieces: Iterator[str], chunker: Chunker) -> Iterator[str]:
    """Yield the text chunks of ``pieces``."""
    for piece in pieces:
        yield from chunker.feed(piece)
    yield from chunker.finish()


class _Turn:
    """The two threads of a turn, and the queue between them."""

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
        self._voice = _Voice(tts)
        self._streams_text = isinstance(tts, TextStreamSpeaker)
        self._chunker = chunker
        self._sequential = sequential
        self._schedule = schedule
        self._chunks: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._cancelled = threading.Event()
        self._llm_error: BaseException | None = None

    def run(self, prompt: str, writer: WaitingThread) -> None:
        writer.do(partial(self._write, prompt))
        try:
            self._speak()
        except BaseException:
            self._break_off_reply()
            raise
        finally:
            self._cancelled.set()
            self._schedule.give_way()
            writer.wait_until_done()
        if self._llm_error is not None:
            raise StageError("llm", self._llm_error)
        if isinstance(self._llm, LooksBack):
            try:
                self._llm.look_back()
            except Exception as error:
                raise StageError("llm", error) from error

    def _break_off_reply(self) -> None:
        """Interrupt a model that waits for a server, whose next token may take long."""
        self._cancelled.set()
        if isinstance(self._llm, Interruptible):
            self._llm.interrupt()

    def _write(self, prompt: str) -> None:
        """Read the reply to its end, and queue its text chunks."""
        held_back: list[str] = []
        try:
            reply = self._llm.reply(prompt)
            with _closed(reply):
                for event in steps(reply, self._schedule.token_step):
                    # No event may follow the turn's end.
                    if self._cancelled.is_set():
                        return
                    if event is None:
                        continue
                    self._schedule.prompt_read()
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
            self._schedule.reply_written()
            self._chunks.put(None)

    def _hand_over(self, chunks: list[str]) -> None:
        for chunk in chunks:
            self._schedule.chunk_waits()
            self._chunks.put(chunk)
        chunks.clear()

    def _speak(self) -> None:
        if self._streams_text:
            assert isinstance(self._tts, TextStreamSpeaker)
            try:
                self._tts.speak_stream(self._queued_chunks(), self._emit)
            except Exception as error:
                raise StageError("tts", error) from error
            return
        before: str | None = None
        while (chunk := self._chunks.get()) is not None:
            try:
                if _speak_chunk(chunk, self._emit, self._voice, self._schedule, before):
                    before = chunk
            except Exception as error:
                raise StageError("tts", error) from error
            finally:
                self._schedule.chunk_spoken()

    def _queued_chunks(self) -> Iterator[str]:
        while (chunk := self._chunks.get()) is not None:
            # Such a voice is remote and does not use a device of this machine.
            self._schedule.chunk_spoken()
            yield chunk


class _Voice:
    """A synthesizer, and what it can do with a chunk beside speaking it; looked up beforehand."""

    def __init__(self, tts: Synthesizer) -> None:
        self._tts = tts
        self._opening = tts if isinstance(tts, OpeningSpeaker) else None
        self._continuing = tts if isinstance(tts, ContinuingSpeaker) else None

    def speech(self, chunk: str, before: str | None, schedule: FreeForAll) -> Iterator[TtsEvent]:
        """Return the speech of ``chunk``.

        ``before`` is the chunk that was heard before it. None: it opens the reply, so it starts at
        its first sound.
        """
        if before is None and self._opening is not None:
            return self._opening.speak_opening(chunk, schedule.opening_ms())
        if before is not None and self._continuing is not None:
            return self._continuing.speak_next(chunk, before)
        return self._tts.speak(chunk)


def _speak_chunk(
    chunk: str, emit: Emit, voice: _Voice, schedule: FreeForAll, before: str | None
) -> bool:
    """Speak a chunk after the chunk ``before``; return whether audio came."""
    emit(TextChunk(chunk))
    speech = voice.speech(chunk, before, schedule)
    heard = False
    with _closed(speech):
        for event in steps(speech, schedule.speech_step):
            emit(event)
            if isinstance(event, AudioChunk):
                schedule.audio_out(event.pcm.size / event.sample_rate)
                heard = True
    return heard


def steps(
    source: Iterator[_Yielded], step: Callable[[], AbstractContextManager[None]]
) -> Iterator[_Yielded]:
    """Yield from ``source``; each item is computed inside ``step()``."""
    while True:
        with step():
            try:
                item = next(source)
            except StopIteration:
                return
        yield item


@contextmanager
def _closed(source: Iterator[object]) -> Iterator[None]:
    """Close ``source`` at the end of the block, if it can be closed."""
    try:
        yield
    finally:
        if hasattr(source, "close"):
            source.close()


def _failed_turn(failure: StageError) -> TurnFailed:
    fault: Fault = "engine"
    stage = failure.stage
    if isinstance(failure.error, EngineError):
        fault, stage = failure.error.fault, failure.error.stage or failure.stage
    reason = str(failure.error)
    if not isinstance(failure.error, VoicebenchError):
        reason = f"{type(failure.error).__name__}: {reason}"
    return TurnFailed(reason, fault, stage)
