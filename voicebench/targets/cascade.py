"""The cascade: any language model joined with any synthesizer, as one target."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from voicebench.events import Emit
from voicebench.pipeline.pipeline import run_turn
from voicebench.pipeline.protocols import LanguageModel, PacedSpeaker, Synthesizer, WholeSpeaker
from voicebench.pipeline.scheduling import BUFFER_S, FreeForAll, buffer_for
from voicebench.remote import Remote
from voicebench.remote.connection.timeouts import TurnDeadline
from voicebench.text.chunking import Chunker

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Cascade:
    """A language model, a chunker and a synthesizer, each local or remote.

    ``new_schedule`` makes the order of work for one turn; engines that share a computing device
    take turns on it.
    """

    def __init__(
        self,
        llm: LanguageModel,
        tts: Synthesizer,
        *,
        first_words: int,
        later_words: int,
        sequential: bool = False,
        new_schedule: Callable[[], FreeForAll] = FreeForAll,
        deadline: TurnDeadline | None = None,
    ) -> None:
        self.llm = llm
        self.tts = tts
        self._first_words = first_words
        self._later_words = later_words
        self._sequential = sequential
        self._new_schedule = new_schedule
        self._deadline = deadline

    def check(self) -> None:
        """Open the connections of remote engines, or raise `CannotMeasure` naming the URL."""
        for engine in self._remote_engines():
            engine.check()

    def prepare(self) -> None:
        """Bring the connections of remote engines into the state the next turn shall find."""
        for engine in self._remote_engines():
            engine.prepare()

    def run(self, prompt: str, emit: Emit, schedule: FreeForAll | None = None) -> None:
        """Answer ``prompt`` aloud; see `voicebench.pipeline.pipeline.run_turn`.

        ``schedule`` stands in for a new one, where several turns share the engines.
        """
        if self._deadline is not None:
            self._deadline.start()
        run_turn(
            prompt,
            emit,
            llm=self.llm,
            tts=self.tts,
            chunker=Chunker(self._first_words, self._later_words),
            sequential=self._sequential,
            schedule=schedule or self._new_schedule(),
        )

    def speak_whole(self, text: str) -> NDArray[np.float32] | None:
        """Return the speech of ``text`` computed at once; None for a voice that only streams.

        What streamed speech is compared with (`voicebench.judging.streaming_check`).
        """
        return self.tts.speak_whole(text) if isinstance(self.tts, WholeSpeaker) else None

    def with_chunks(self, first_words: int, later_words: int) -> Cascade:
        """Return the same cascade with the reply cut otherwise; both share their engines."""
        return Cascade(
            self.llm,
            self.tts,
            first_words=first_words,
            later_words=later_words,
            sequential=self._sequential,
            new_schedule=self._new_schedule,
            deadline=self._deadline,
        )

    def with_model(self, llm: LanguageModel) -> Cascade:
        """Return the same cascade with another language model; both share the voice."""
        return Cascade(
            llm,
            self.tts,
            first_words=self._first_words,
            later_words=self._later_words,
            sequential=self._sequential,
            new_schedule=self._new_schedule,
            deadline=self._deadline,
        )

    def _remote_engines(self) -> list[Remote]:
        return [engine for engine in (self.llm, self.tts) if isinstance(engine, Remote)]

    def describe(self) -> dict[str, object]:
        """Return both engines' descriptions and how they are joined."""
        return {
            "target": "cascade",
            "llm": self.llm.describe(),
            "tts": self.tts.describe(),
            "first_words": self._first_words,
            "later_words": self._later_words,
            "sequential": self._sequential,
        }

    def close(self) -> None:
        """Release both engines."""
        self.llm.close()
        self.tts.close()


def listening_buffer_s(tts: Synthesizer) -> float:
    """Return how much audio a listener of ``tts`` should have in hand before tokens go first."""
    return buffer_for(tts.longest_step_s) if isinstance(tts, PacedSpeaker) else BUFFER_S
