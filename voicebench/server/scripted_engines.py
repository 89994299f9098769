"""A script as two engines: a language model and a voice, for the routes of text or speech alone.

The simulated target plays whole turns. These engines keep the script's delays too: the model gives
its first token ``ttft`` after the request, the voice its first samples ``ttfb`` after the text was
handed over.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache, partial

from voicebench.errors import EngineError
from voicebench.events import AudioChunk, LlmEvent, TtsEvent, Usage
from voicebench.targets.script import Script
from voicebench.targets.simulated import SAMPLE_RATE, WaitingClock, plan_speech, plan_tokens
from voicebench.text.speakable import speakable


class ScriptedModel:
    """A language model that plays a script's tokens."""

    def __init__(
        self, script: Script, clock: WaitingClock, turns: Iterator[int] | None = None
    ) -> None:
        self._script = script
        self._clock = clock
        self._turns = turns or itertools.count(1)

    def with_limit(self, max_tokens: int | None) -> ScriptedModel:
        """Return the same model with shorter replies. Both count the same turns."""
        words = min(self._script.words, max_tokens or self._script.words)
        return ScriptedModel(replace(self._script, words=words), self._clock, self._turns)

    def reply(self, prompt: str) -> Iterator[LlmEvent]:  # noqa: ARG002
        """Yield the script's tokens at their times. Raises `EngineError` in turns that fail."""
        start_ns = self._clock.now_ns()
        fails = self._script.fail > 0 and next(self._turns) % self._script.fail == 0
        tokens = plan_tokens(self._script)
        for at_ns, token in tokens[:1] if fails else tokens:
            self._clock.wait_until(start_ns + at_ns)
            yield token
        if fails:
            raise EngineError("scripted failure")
        yield Usage(len(tokens))

    def describe(self) -> dict[str, object]:
        """Return what plays."""
        return {"engine": "scripted", "model": "simulated"}

    def close(self) -> None:
        """Nothing to release."""


class ScriptedVoice:
    """A synthesizer that plays a script's audio."""

    def __init__(self, script: Script, clock: WaitingClock) -> None:
        self._clock = clock
        # Cached, so that planning adds no delay.
        self._plan = lru_cache(maxsize=16)(partial(_plan_of_text, script))

    def speak(self, text: str) -> Iterator[TtsEvent]:
        """Yield the audio of ``text`` at its times; nothing if no word can be spoken."""
        start_ns = self._clock.now_ns()
        for at_ns, audio in self._plan(text):
            self._clock.wait_until(start_ns + at_ns)
            yield audio

    def describe(self) -> dict[str, object]:
        """Return what plays."""
        return {"engine": "scripted", "voice": "simulated", "sample_rate": SAMPLE_RATE}

    def close(self) -> None:
        """Nothing to release."""


def _plan_of_text(script: Script, text: str) -> list[tuple[int, AudioChunk]]:
    if not speakable(text):
        return []
    plan = plan_speech(script, [(0, text)])
    return [(step.at_ns, step.event) for step in plan if isinstance(step.event, AudioChunk)]
