"""The stages of the time to first audio, each beside the time for reading its weights.

The floor of a stage is the bytes of weights that it has to read, divided by the machine's memory
bandwidth: one pass over the language model for the prompt, one for every further token, the text
side of the voice once, its flow and decoder once. The time above the floor is arithmetic and the
cost of hundreds of small operations. (A voice's weights may stay in the processor's cache from turn
to turn, so a measured time can even be below the floor.)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.first_audio.bandwidth import Bandwidth
from benchmarks.first_audio.ratios import known, values_of
from benchmarks.first_audio.rows import VOICE
from voicebench.figures.summary import percentile
from voicebench.targets.cascade import Cascade
from voicebench.turn.timeline import Timeline

if TYPE_CHECKING:
    from voicebench.engines.tts.voice import Voice


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: its median, and the time for its bytes at the machine's bandwidth."""

    name: str
    p50_ms: float
    read_bytes: float
    floor_ms: float

    def as_dict(self) -> dict[str, object]:
        """Return what the benchmark's file holds."""
        return {
            "name": self.name,
            "p50_ms": self.p50_ms,
            "read_bytes": self.read_bytes,
            "floor_ms": self.floor_ms,
        }


def measure(ours: Cascade, turns: Sequence[Timeline], bandwidth: Bandwidth) -> list[Stage]:
    """Return the stages of ``turns``, back to back; the voice's two are timed on their texts."""
    from voicebench.engines.tts.finding import open_voice

    language_model = ours.llm.describe()
    once = float(str(language_model["bytes_per_token"]))
    voice = open_voice(VOICE)
    text_bytes = _bytes(voice, "text.", "durations.")
    window_bytes = _bytes(voice, "flow.", "decoder.")
    tokens = percentile([float(tokens_to_first_chunk(turn)) for turn in turns], 50)
    front_ms = text_front_end_ms([turn.chunks[0].text for turn in turns if turn.chunks])
    voice_ms = _median(turns, "tts_ttfb_ms")
    named = (
        ("prompt read (prefill), to the first token", _median(turns, "llm_ttft_ms"), once),
        ("one further token", _median(turns, "llm_itl_ms"), once),
        (
            f"first chunk complete (token {tokens:.0f})",
            _median(turns, "first_chunk_ms"),
            once * tokens,
        ),
        ("voice: text front end (phonemes, encoder, durations)", front_ms, text_bytes),
        ("voice: first window (flow and decoder)", voice_ms - front_ms, window_bytes),
        (
            "first audio, all of it",
            _median(turns, "first_audio_ms"),
            once * tokens + text_bytes + window_bytes,
        ),
    )
    return [Stage(name, ms, size, bandwidth.floor_ms(size)) for name, ms, size in named]


def tokens_to_first_chunk(turn: Timeline) -> int:
    """Return how many tokens had come when the first text chunk was handed over."""
    if not turn.chunks:
        return 0
    return sum(token.at_ns <= turn.chunks[0].at_ns for token in turn.tokens)


def text_front_end_ms(texts: Sequence[str]) -> float:
    """Return the median time from a text to what the first window is computed from."""
    from voicebench.engines.tts.finding import open_voice
    from voicebench.engines.tts.fitting import choose_arithmetic
    from voicebench.engines.tts.speech_noise import seeded_noise
    from voicebench.engines.tts.vits.utterance import encode

    voice = open_voice(VOICE)
    arithmetic = choose_arithmetic(voice, "cpu")

    def begin(text: str) -> None:
        encode(arithmetic, next(voice.symbols(text)), voice.manner, seeded_noise(0, text))

    begin(texts[0])
    return percentile([timed_ms(partial(begin, text)) for text in texts], 50)


def timed_ms(action: Callable[[], Any]) -> float:
    """Return how long ``action`` takes, in milliseconds."""
    begun = time.perf_counter_ns()
    action()
    return (time.perf_counter_ns() - begun) / 1e6


def _median(turns: Sequence[Timeline], metric: str) -> float:
    return percentile(known(values_of(turns, metric)), 50)


def _bytes(voice: Voice, *parts: str) -> float:
    named = voice.weights.items()
    return float(sum(weight.nbytes for name, weight in named if name.startswith(parts)))
