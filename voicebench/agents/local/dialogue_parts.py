"""Interfaces of a `voicebench.agents.local.dialogue.Dialogue` to its ears and its replies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from voicebench.engines.ears.voice_activity import SpeechStarted, SpeechStopped

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class EdgeFinding(Protocol):
    """Finds where speech starts and stops; `voicebench.engines.ears.voice_activity`."""

    @property
    def may_start(self) -> bool:
        """Whether speech may have started just now, which is not an edge yet."""
        ...

    def feed(self, frame: NDArray[np.int16]) -> Sequence[SpeechStarted | SpeechStopped]:
        """Take the next frame, and return the edges in it."""
        ...


class Asking(Protocol):
    """The slow models. Their answers come back as `Dialogue.judged`, `recognised` and `looked`."""

    def judge(self, number: int, pcm: NDArray[np.float32], silent: int) -> None:
        """Ask whether the turn is over after ``pcm``, which ends with ``silent`` silent samples."""
        ...

    def recognise(self, number: int, pcm: NDArray[np.float32]) -> None:
        """Ask for the words in ``pcm``."""
        ...

    def look(self, began: int, pcm: NDArray[np.float32]) -> None:
        """Ask for the first words in ``pcm``, of speech over the agent that began at ``began``."""
        ...


class Replying(Protocol):
    """A reply under way; its events come back as `Dialogue.replied`."""

    tokens: int
    prompt: str

    @property
    def work_ms(self) -> float:
        """How long the engines have computed for it."""
        ...

    def discard(self) -> None:
        """Stop it; no event may follow."""
        ...

    def heard(self, seconds: float) -> str:
        """Return the text that was heard after ``seconds`` of its sound."""
        ...


@dataclass(slots=True)
class Suspicion:
    """Replies begun before the turn was known to be over, and those of them thrown away."""

    begun: int = 0
    discarded: int = 0
    discarded_tokens: int = 0
    discarded_work_ms: float = 0.0
