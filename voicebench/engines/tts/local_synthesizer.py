"""Base of the voices of this process: steps that run alone, and a description for results."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from voicebench.engines.tts.opening_silence import OpeningTrimmer
from voicebench.engines.tts.pace import LONGEST_MS, WindowPlan
from voicebench.events import AudioChunk, SilenceTrimmed, TtsEvent
from voicebench.machine.slower import Slower, described

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_Step = TypeVar("_Step")


class LocalSynthesizer(ABC):
    """A voice that speaks in this process, window by window.

    A lock lets one step (a text encoded, a window) run at a time: windows may share one memory, and
    two steps at once on one processor both take longer.
    """

    sample_rate: int
    """In Hz."""

    def __init__(
        self, plan: WindowPlan, *, seed: int, trim_silence: bool, slower: Slower | None
    ) -> None:
        """Take the plan of the windows; ``slower`` says why nothing faster computes the voice."""
        self._plan = plan
        self._seed = seed
        self._trim_silence = trim_silence
        self._slower = slower
        self._turn = threading.Lock()

    def speak(self, text: str) -> Iterator[TtsEvent]:
        """Yield the speech of ``text``, each window as soon as its samples are in host memory.

        Yields nothing if there is nothing to pronounce. Closing the iterator cancels the rest,
        within one window. Raises `EngineError`.
        """
        for pcm in self._spoken(text):
            yield AudioChunk(pcm, self.sample_rate)

    def speak_opening(self, text: str, longer_ms: float = 0.0) -> Iterator[TtsEvent]:
        """Yield the speech of the first text chunk of a reply, from its first sound on.

        The first window is longer by ``longer_ms`` than this voice's own.
        A `SilenceTrimmed` before the first audio says how much silence was left out.
        """
        if not self._trim_silence:
            yield from self.speak(text)
            return
        opening = OpeningTrimmer(self.sample_rate, longer_ms)
        for pcm in self._spoken(text, opening=opening):
            was_sounding = opening.sounding
            kept = opening.take(pcm)
            if opening.sounding:
                if not was_sounding:
                    yield SilenceTrimmed(opening.trimmed_ms)
                yield AudioChunk(kept, self.sample_rate)

    @abstractmethod
    def speak_whole(self, chunks: Sequence[str]) -> NDArray[np.float32]:
        """Return the speech of a reply's text chunks (samples,), each sentence in one window.

        Checks compare streamed speech with it. The silence at its beginning is not trimmed.
        """

    @abstractmethod
    def describe(self) -> dict[str, object]:
        """Return what results record of this synthesizer."""

    @abstractmethod
    def _spoken(
        self, text: str, *, opening: OpeningTrimmer | None = None
    ) -> Iterator[NDArray[np.float32]]:
        """Yield the samples of ``text``, window by window.

        ``opening`` is given where ``text`` opens a reply, and gets to know where sound begins.
        """

    @property
    def longest_step_s(self) -> float:
        """How long the longest window takes on this machine, in seconds."""
        return self._plan.pace.cost_ms(LONGEST_MS / self._plan.frame_ms) / 1000

    def close(self) -> None:  # noqa: B027 (nothing to do for any voice)
        """Do nothing: Python frees the memory of the voice."""

    def _steps(self, source: Iterator[_Step]) -> Iterator[_Step]:
        """Yield from ``source``; each step of it runs alone."""
        while True:
            with self._turn:
                try:
                    step = next(source)
                except StopIteration:
                    return
            yield step

    def _described(self, facts: Mapping[str, object], *, replayed: bool) -> dict[str, object]:
        """Return ``facts`` of the voice with what all synthesizers record."""
        windows = {
            "first_ms": round(self._plan.first_ms, 1),
            "longest_ms": LONGEST_MS,
            "cost_ms_per_window": round(self._plan.pace.window_ms, 2),
            "cost_ms_per_frame": round(self._plan.pace.frame_ms, 3),
            "replayed": replayed,
        }
        common = {"trim_silence": self._trim_silence, "windows": windows}
        return {**facts, **common, **described(self._slower)}
