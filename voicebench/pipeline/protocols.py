"""Interfaces of a language model and a synthesizer, as the pipeline uses them.

Engines in this process and clients of a server have the same interfaces.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from voicebench.events import Emit, LlmEvent, TtsEvent
from voicebench.pipeline.queued_turn import StepSharing
from voicebench.text.chat_template import PastMessage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class LanguageModel(Protocol):
    """Answers a prompt as a stream of tokens."""

    def reply(self, prompt: str) -> Iterator[LlmEvent | None]:
        """Yield the reply to ``prompt``, each token as soon as it is available.

        None comes between two pieces of work that bring nothing to emit yet, such as the pieces of
        a long prompt: others may use the device there. Closing the iterator cancels the reply.
        Raises `voicebench.errors.EngineError`.
        """
        ...

    def describe(self) -> dict[str, object]:
        """Return what the results record: engine, model, device, dtype, …"""
        ...

    def close(self) -> None:
        """Release the model or the connection."""
        ...


@runtime_checkable
class SharesSteps(Protocol):
    """A language model that may compute the token steps of several turns in one pass."""

    @property
    def step_sharing(self) -> StepSharing | None:
        """Its side of a joint step; None if its turns are computed one after another."""
        ...


@runtime_checkable
class LooksBack(Protocol):
    """A language model that can check, after a reply, whether it was really complete."""

    def look_back(self) -> None:
        """Raise `voicebench.errors.EngineError` if later data shows that the reply was not over.

        Called after the reply has been spoken, so that it delays nothing.
        """
        ...


@runtime_checkable
class PreparesNext(Protocol):
    """A language model that can do work between turns for the next one."""

    def prepare_next(self) -> None:
        """Do what the next turn of a conversation would do first. Called after the turn's end."""
        ...


@runtime_checkable
class Interruptible(Protocol):
    """An engine whose wait for a server can be interrupted."""

    def interrupt(self) -> None:
        """Make a running `reply` or `speak` fail at once. Called from another thread."""
        ...


@runtime_checkable
class ConversingModel(Protocol):
    """A language model that can reply after other messages."""

    def in_conversation(self, earlier: Sequence[PastMessage], scope: str) -> LanguageModel:
        """Return the same model after the messages ``earlier``: user and model in turn.

        Both share the engine or the connection. What was computed for a reply of the same ``scope``
        may be used again, and nothing else.
        """
        ...


class Synthesizer(Protocol):
    """Speaks a text chunk as a stream of samples."""

    def speak(self, text: str) -> Iterator[TtsEvent]:
        """Yield the speech of ``text``, each `AudioChunk` as soon as its samples are on the host.

        Yields nothing for a chunk without a pronunciation (an emoji, a dash). Closing the iterator
        cancels the rest. Raises `voicebench.errors.EngineError`.
        """
        ...

    def describe(self) -> dict[str, object]:
        """Return what the results record: engine, voice, device, sample rate, …"""
        ...

    def close(self) -> None:
        """Release the model or the connection."""
        ...


@runtime_checkable
class OpeningSpeaker(Protocol):
    """A synthesizer that can leave out the silence before a reply's first sound."""

    def speak_opening(self, text: str, longer_ms: float = 0.0) -> Iterator[TtsEvent]:
        """Yield the speech of a reply's first chunk as `Synthesizer.speak`, from its first sound.

        The first piece is longer by ``longer_ms``, where the next one has to wait for other turns.
        A `SilenceTrimmed` before the first audio has the length of the removed silence.
        """
        ...


@runtime_checkable
class ContinuingSpeaker(Protocol):
    """A synthesizer whose intonation goes on from one text chunk to the next."""

    def speak_next(self, text: str, before: str) -> Iterator[TtsEvent]:
        """Yield the speech of ``text`` as `Synthesizer.speak`, as it sounds behind ``before``."""
        ...


@runtime_checkable
class WholeSpeaker(Protocol):
    """A synthesizer that can also compute a text in one piece, to check its streaming."""

    def speak_whole(self, chunks: Sequence[str]) -> NDArray[np.float32]:
        """Return the speech of a reply's text chunks, ``(samples,)``, untrimmed.

        The noise is that of `speak`.
        """
        ...


@runtime_checkable
class PacedSpeaker(Protocol):
    """A synthesizer that has measured its speed on this machine."""

    @property
    def longest_step_s(self) -> float:
        """The time of its longest step (a window of speech), in seconds."""
        ...


@runtime_checkable
class TextStreamSpeaker(Protocol):
    """A synthesizer that takes the next text chunk while it still speaks the one before."""

    def speak_stream(self, chunks: Iterator[str], emit: Emit) -> None:
        """Speak ``chunks``, each sent and emitted as `TextChunk` when it comes.

        Emits nothing after it has returned or raised. Raises `voicebench.errors.EngineError`, and
        what ``chunks`` raises.
        """
        ...
