"""The cascade: any language model joined with any synthesizer, as one target."""

from __future__ import annotations

from collections.abc import Callable

from voicebench.chunking import Chunker
from voicebench.events import Emit
from voicebench.llm import LanguageModel
from voicebench.pipeline import run_turn
from voicebench.scheduling import FreeForAll
from voicebench.tts import Synthesizer


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
    ) -> None:
        self.llm = llm
        self.tts = tts
        self._first_words = first_words
        self._later_words = later_words
        self._sequential = sequential
        self._new_schedule = new_schedule

    def run(self, prompt: str, emit: Emit, schedule: FreeForAll | None = None) -> None:
        """Answer ``prompt`` aloud; see `voicebench.pipeline.run_turn`.

        ``schedule`` stands in for a new one, where several turns share the engines.
        """
        run_turn(
            prompt,
            emit,
            llm=self.llm,
            tts=self.tts,
            chunker=Chunker(self._first_words, self._later_words),
            sequential=self._sequential,
            schedule=schedule or self._new_schedule(),
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
        )

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
