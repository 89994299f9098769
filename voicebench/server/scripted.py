"""A script's two halves as engines: the tokens of a turn alone, and the speech of a text alone.

The simulated target plays whole turns. A server has routes for text alone and for speech alone,
and what comes out of them must be on schedule too: the model brings its first token ``ttft`` after
it was asked, the voice its first samples ``ttfb`` after the text was handed over.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache, partial

from voicebench.errors import EngineError
from voicebench.events import AudioChunk, LlmEvent, TtsEvent, Usage
from voicebench.targets.simulated import SAMPLE_RATE, Script, WaitingClock, plan_speech, plan_tokens
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
        """Return the same model, counting the same turns, with no longer replies than that."""
        words = min(self._script.words, max_tokens or self._script.words)
        return ScriptedModel(replace(self._script, words=words), self._clock, self._turns)

    def reply(self, prompt: str) -> Iterator[LlmEvent]:  # noqa: ARG002
        """Yield the script's tokens at their moments. Raises `EngineError` where it says so."""
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
        # What was planned once needs no time that the script does not have.
        self._plan = lru_cache(maxsize=16)(partial(_plan_of_text, script))

    def speak(self, text: str) -> Iterator[TtsEvent]:
        """Yield the audio of ``text`` at its moments; nothing where there is nothing to say."""
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
