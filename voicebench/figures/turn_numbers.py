"""The figures of conversations by turn number: does a turn cost its own words, or its history?

Turn 1 of a conversation is answered without messages before it, turn 10 after nine exchanges. A
target that computes the whole history in every turn gets later from turn to turn. One row is all
measured turns with the same number, over all conversations of a run.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voicebench.figures.columns import Columns
from voicebench.figures.metrics import BY_NAME, FIRST_AUDIO
from voicebench.figures.summary import Distribution

FIRST_TOKEN = BY_NAME["llm_ttft_ms"]


@dataclass(frozen=True, slots=True)
class TurnNumberFigures:
    """The measured turns with one number in their conversations."""

    number: int
    """The number within the conversation, from 1."""
    turns: int
    failed: int
    first_token: Distribution
    """``llm_ttft_ms``."""
    first_audio: Distribution
    """``first_audio_ms``."""
    prompt_tokens: float | None
    """Median tokens of the prompt with all messages before it, as the model or its server says."""
    cached_tokens: float | None
    """Median of those that were not computed again, as the model or its server says: its word, not
    a measurement."""

    def as_dict(self) -> dict[str, object]:
        """Return the entry of ``summary.json``."""
        return {
            "turn": self.number,
            "turns": self.turns,
            "failed": self.failed,
            FIRST_TOKEN.name: self.first_token.as_dict(),
            FIRST_AUDIO.name: self.first_audio.as_dict(),
            "prompt_tokens": self.prompt_tokens,
            "cached_tokens": self.cached_tokens,
        }


def by_turn_number(columns: Columns) -> list[TurnNumberFigures]:
    """Return the figures of each turn number, from turn 1 on; empty without conversations."""
    numbers = columns.traits["conversation_turn"]
    return [
        _figures(columns, int(number), numbers == number)
        for number in np.unique(numbers[~np.isnan(numbers)])
    ]


def _figures(columns: Columns, number: int, among: NDArray[np.bool_]) -> TurnNumberFigures:
    def distribution(name: str) -> Distribution:
        values = columns.values[name][among]
        found = values[~np.isnan(values)]
        return Distribution(tuple(found.tolist()), int(among.sum()) - found.size)

    def middle(name: str) -> float | None:
        values = columns.traits[name][among & ~columns.failed]
        found = values[~np.isnan(values)]
        return float(np.median(found)) if found.size else None

    return TurnNumberFigures(
        number=number,
        turns=int(among.sum()),
        failed=int((among & columns.failed).sum()),
        first_token=distribution(FIRST_TOKEN.name),
        first_audio=distribution(FIRST_AUDIO.name),
        prompt_tokens=middle("prompt_tokens"),
        cached_tokens=middle("cached_tokens"),
    )
