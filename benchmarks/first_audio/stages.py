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
from voicebench.engines.tts.hibari.hibari_synthesizer import HibariSynthesizer
from voicebench.engines.tts.hibari.planned_sentence import plan
from voicebench.figures.summary import percentile
from voicebench.targets.cascade import Cascade
from voicebench.turn.timeline import Timeline

if TYPE_CHECKING:
    from voicebench.engines.tts.hibari.onnx_weights import Weights


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
    """Return the stages of ``turns``, back to back; the voice's text side is timed on their texts.

    ``ours`` speaks with a hibari voice.
    """
    language_model = ours.llm.describe()
    once = float(str(language_model["bytes_per_token"]))
    voice = ours.tts
    assert isinstance(voice, HibariSynthesizer)
    text_bytes = bytes_of(voice.voice.weights, "m.text.", "pn.")
    window_bytes = bytes_of(voice.voice.weights, "m.dec", "m.head")
    tokens = percentile([float(tokens_to_first_chunk(turn)) for turn in turns], 50)
    texts = [turn.chunks[0].text for turn in turns if turn.chunks]
    front_ms = text_front_end_ms(voice, texts)
    voice_ms = _median(turns, "tts_ttfb_ms")
    named = (
        ("prompt read (prefill), to the first token", _median(turns, "llm_ttft_ms"), once),
        ("one further token", _median(turns, "llm_itl_ms"), once),
        (
            f"first chunk complete (token {tokens:.0f})",
            _median(turns, "first_chunk_ms"),
            once * tokens,
        ),
        ("voice: text (phonemes, encoders, durations, pitch, energy)", front_ms, text_bytes),
        ("voice: first window (decoder, samples)", voice_ms - front_ms, window_bytes),
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


def text_front_end_ms(synthesizer: HibariSynthesizer, texts: Sequence[str]) -> float:
    """Return the median time from a text to what the first window is computed from."""

    def begin(text: str) -> None:
        plan(synthesizer.network, next(synthesizer.voice.sentences(text)), hurried=True)

    begin(texts[0])
    return percentile([timed_ms(partial(begin, text)) for text in texts], 50)


def timed_ms(action: Callable[[], Any]) -> float:
    """Return how long ``action`` takes, in milliseconds."""
    begun = time.perf_counter_ns()
    action()
    return (time.perf_counter_ns() - begun) / 1e6


def _median(turns: Sequence[Timeline], metric: str) -> float:
    return percentile(known(values_of(turns, metric)), 50)


def bytes_of(weights: Weights, *parts: str) -> float:
    """Return the size of the weights whose names begin with one of ``parts``."""
    return float(sum(array.nbytes for name, array in weights.items() if name.startswith(parts)))
