"""Parts that `pipecat eval` is given, in an environment of its own: a caller, a voice and a judge.

Its own parts for them are models from elsewhere (Kokoro, Ollama). These are scripted, and say so:
the caller says one line, whatever the agent said first, and hangs up when he was answered; the
voice plays a recording of that line; the judge says yes if the agent said anything after it.
"""

from __future__ import annotations

import json
import wave
from collections.abc import AsyncIterator, Mapping
from typing import Any

from openai.types.chat import ChatCompletionChunk
from pipecat.classifiers.base_classifier import BaseClassifier, YesNoResult
from pipecat.evals.persona import END_CALL_FUNCTION
from pipecat.frames.frames import TTSAudioRawFrame, TTSStartedFrame, TTSStoppedFrame
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.tts_service import TTSService


class ScriptedCaller(OpenAILLMService):  # type: ignore[misc]
    """The caller's language model: it says ``line``, then it hangs up. It asks no server."""

    def __init__(self, line: str) -> None:
        super().__init__(
            api_key="none", settings=OpenAILLMService.Settings(model="scripted: one line")
        )
        self._line: str | None = line

    async def get_chat_completions(self, _context: Any) -> AsyncIterator[ChatCompletionChunk]:
        """Return the line the first time, and then the call of the tool that hangs up."""
        hang_up = {"success": True, "reason": "scripted: the line was said"}
        call = {"name": END_CALL_FUNCTION, "arguments": json.dumps(hang_up)}
        delta: dict[str, Any] = {"content": self._line}
        if self._line is None:
            tool = {"index": 0, "id": "1", "type": "function", "function": call}
            delta = {"tool_calls": [tool]}
        self._line = None

        async def chunks() -> AsyncIterator[ChatCompletionChunk]:
            yield ChatCompletionChunk.model_validate(
                {
                    "id": "scripted",
                    "created": 0,
                    "model": "scripted: one line",
                    "object": "chat.completion.chunk",
                    "choices": [{"index": 0, "delta": delta}],
                }
            )

        return chunks()


class RecordedVoice(TTSService):  # type: ignore[misc]
    """The caller's voice: it plays ``wav`` whatever the text is."""

    def __init__(self, wav: str) -> None:
        super().__init__()
        self._wav = wav

    def can_generate_metrics(self) -> bool:
        """Return False."""
        return False

    async def run_tts(self, _text: str, _context_id: str) -> AsyncIterator[Any]:
        """Yield the recording."""
        with wave.open(self._wav, "rb") as file:
            pcm, rate = file.readframes(file.getnframes()), file.getframerate()
        yield TTSStartedFrame()
        yield TTSAudioRawFrame(audio=pcm, sample_rate=rate, num_channels=1)
        yield TTSStoppedFrame()


class AnsweredJudge(BaseClassifier):  # type: ignore[misc]
    """The judge: yes, if the agent said anything after the caller."""

    async def _ask(
        self, state: Any, questions: Mapping[str, Any], **_images: Any
    ) -> tuple[dict[str, Any], None]:
        said = [entry["speaker"] for entry in state["conversation"] if entry["text"].strip()]
        answered = "user" in said and "bot" in said[said.index("user") :]
        return {name: YesNoResult(probability=float(answered)) for name in questions}, None


def caller(config: dict[str, Any]) -> ScriptedCaller:
    """Return the caller of ``simulator``."""
    return ScriptedCaller(config["line"])


def voice(config: dict[str, Any]) -> RecordedVoice:
    """Return the voice of ``user.speech``."""
    return RecordedVoice(config["wav"])


def judge(_config: dict[str, Any]) -> AnsweredJudge:
    """Return the judge of ``judge.eval``."""
    return AnsweredJudge()
