"""What the pipeline expects of its two engines: a language model and a synthesizer.

An engine of this process and a client of a server follow the same protocols, so the pipeline does
not know which it drives.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from voicebench.events import Emit, LlmEvent, TtsEvent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class LanguageModel(Protocol):
    """Anything that answers a prompt as a stream of tokens, in process or over a wire."""

    def reply(self, prompt: str) -> Iterator[LlmEvent]:
        """Yield the reply to ``prompt``, each token the moment it is in hand.

        Closing the iterator cancels the reply. Raises `voicebench.errors.EngineError`.
        """
        ...

    def describe(self) -> dict[str, object]:
        """Return what a reader of the results must know: engine, model, device, dtype, …"""
        ...

    def close(self) -> None:
        """Release the model or the connection."""
        ...


@runtime_checkable
class LooksBack(Protocol):
    """A language model whose reply may turn out not to be over after it has ended."""

    def look_back(self) -> None:
        """Raise `voicebench.errors.EngineError` where what came since belies the reply's end.

        Called when the reply has been spoken, so that nobody waits for it.
        """
        ...


@runtime_checkable
class Interruptible(Protocol):
    """A language model whose next token may be long in coming, and that can be woken up."""

    def interrupt(self) -> None:
        """Make a running `reply` fail at once; called from another thread."""
        ...


class Synthesizer(Protocol):
    """Anything that speaks a text chunk as a stream of samples, in process or over a wire."""

    def speak(self, text: str) -> Iterator[TtsEvent]:
        """Yield the speech of ``text``; each `AudioChunk` the moment its samples are on the host.

        A chunk with nothing to pronounce (an emoji, a dash) yields nothing. Closing the iterator
        cancels the rest. Raises `voicebench.errors.EngineError`.
        """
        ...

    def describe(self) -> dict[str, object]:
        """Return what a reader of the results must know: engine, voice, device, rate, …"""
        ...

    def close(self) -> None:
        """Release the model or the connection."""
        ...


@runtime_checkable
class OpeningSpeaker(Protocol):
    """A synthesizer that can leave out the silence before a reply's first sound."""

    def speak_opening(self, text: str) -> Iterator[TtsEvent]:
        """Yield the speech of a reply's first chunk: as `Synthesizer.speak`, from the first sound.

        A `SilenceTrimmed` before the first audio says how much was left out.
        """
        ...


@runtime_checkable
class WholeSpeaker(Protocol):
    """A synthesizer that can also speak a text in one piece, to compare its streaming with."""

    def speak_whole(self, text: str) -> NDArray[np.float32]:
        """Return the speech of ``text``, ``(samples,)``, untrimmed, with the noise of `speak`."""
        ...


@runtime_checkable
class PacedSpeaker(Protocol):
    """A synthesizer that knows its own pace on this machine."""

    @property
    def longest_step_s(self) -> float:
        """How long its longest step (a window of speech) takes, in seconds."""
        ...


@runtime_checkable
class TextStreamSpeaker(Protocol):
    """A synthesizer that takes the next text chunk while it still speaks the one before."""

    def speak_stream(self, chunks: Iterator[str], emit: Emit) -> None:
        """Speak ``chunks``, each handed over and emitted as `TextChunk` the moment it comes.

        Emits nothing more once it has returned or raised. Raises `voicebench.errors.EngineError`,
        and what ``chunks`` raises.
        """
        ...
