"""Engines that are queues of prepared answers.

A step of an answer is an event to yield, an error to raise, or something to do on the way (set an
event, wait for one): that is how a test forces an order between the two threads of a turn.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from voicebench.audio.synthetic_voice import synthetic_voice
from voicebench.events import AudioChunk, Token

PATIENCE_S = 5.0
"""How long a step waits for what must come, before the test fails instead of hanging."""

RATE = 16_000

Step = Any
"""An event, an exception to raise, or a callable to call."""


def words(text: str) -> list[Step]:
    """Return ``text`` as one token a word, spaces in front, as language models write them."""
    first, *others = text.split()
    return [Token(first), *(Token(f" {word}") for word in others)]


def sound(ms: int = 100) -> AudioChunk:
    """Return so much of a voice."""
    return AudioChunk(synthetic_voice(RATE * ms // 1000, RATE), RATE)


def until(event: threading.Event) -> Callable[[], None]:
    """Return a step that waits for ``event``, and fails the test where it never comes."""

    def wait() -> None:
        assert event.wait(PATIENCE_S), "what this answer waits for never happened"

    return wait


class Scripted:
    """A language model and a synthesizer at once: each call takes the next prepared answer."""

    def __init__(self, *answers: Sequence[Step], name: str = "scripted") -> None:
        self.answers = deque(answers)
        self.heard: list[str] = []
        self.threads: set[str] = set()
        self.unfinished = 0
        """Answers that were begun and are neither read to their end nor closed."""
        self.closed = False
        self._name = name
        self._given: list[Iterator[Any]] = []

    def reply(self, prompt: str) -> Iterator[Any]:
        """Answer as a language model."""
        self.heard.append(prompt)
        answer = self._play(self.answers.popleft())
        self._given.append(answer)  # kept, or Python would close what the pipeline forgets to
        return answer

    speak = reply

    def _play(self, steps: Sequence[Step]) -> Iterator[Any]:
        self.unfinished += 1
        self.threads.add(threading.current_thread().name)
        try:
            for step in steps:
                if isinstance(step, BaseException):
                    raise step
                if callable(step):
                    step()
                else:
                    yield step
        finally:
            self.unfinished -= 1

    def describe(self) -> dict[str, object]:
        """Return the name."""
        return {"engine": self._name}

    def close(self) -> None:
        """Note that it was closed."""
        self.closed = True
