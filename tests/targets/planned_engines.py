"""A language model and a synthesizer that play a script's plan on the real clock.

They are to an in-process cascade what the simulated target is to the instrument: each token and
each piece of audio comes no sooner than its moment, and the pipeline between them is the real one.
"""

from __future__ import annotations

from collections.abc import Iterator

from voicebench.errors import EngineError
from voicebench.events import AudioChunk, TextChunk, Token, TurnFailed
from voicebench.targets.script import Script
from voicebench.targets.simulated import RealClock, Scripted, plan_turn
from voicebench.text.chunking import Chunker


class PlannedTurns:
    """What both engines play: one plan a turn."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._turns = 0
        self._speeches: list[list[Scripted]] = []
        self._clock = RealClock()

    def reply(self, prompt: str) -> Iterator[Token]:
        """Yield the tokens of the next turn's plan."""
        start_ns = self._clock.now_ns()
        self._turns += 1
        fails = self._script.fail > 0 and self._turns % self._script.fail == 0
        plan = plan_turn(self._script, prompt, Chunker(), fails=fails)
        self._speeches = _speeches(plan)
        for step in plan:
            if isinstance(step.event, Token | TurnFailed):
                self._clock.wait_until(start_ns + step.at_ns)
            if isinstance(step.event, Token):
                yield step.event
            elif isinstance(step.event, TurnFailed):
                raise EngineError(step.event.reason)

    def speak(self, text: str) -> Iterator[AudioChunk]:
        """Yield the audio of the plan's next chunk, each piece its time after the hand-over."""
        start_ns = self._clock.now_ns()
        chunk, *pieces = self._speeches.pop(0)
        assert isinstance(chunk.event, TextChunk)
        assert chunk.event.text == text
        for piece in pieces:
            self._clock.wait_until(start_ns + piece.at_ns - chunk.at_ns)
            assert isinstance(piece.event, AudioChunk)
            yield piece.event

    def describe(self) -> dict[str, object]:
        """Return what plays."""
        return {"engine": "planned"}

    def close(self) -> None:
        """Nothing to release."""


def _speeches(plan: list[Scripted]) -> list[list[Scripted]]:
    """Return for each text chunk of ``plan`` the chunk and its audio."""
    speeches: list[list[Scripted]] = []
    for step in plan:
        if isinstance(step.event, TextChunk):
            speeches.append([step])
        elif isinstance(step.event, AudioChunk):
            speeches[-1].append(step)
    return speeches
