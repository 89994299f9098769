"""The cost of longer prompts, longer chunks, longer replies and more turns at once.

Each figure is the median of `REPEATS` runs, after one that does not count. If another engine does
the same work, its figure is beside voicebench's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from itertools import count, cycle, islice

from benchmarks.first_audio.rows import LLM, NAIVE, OURS, STRONGEST, Pipelines
from benchmarks.first_audio.stages import timed_ms
from voicebench.audio.pcm import AudibleRule
from voicebench.engines.llm.generation import InProcessLanguageModel
from voicebench.engines.llm.language_model import load_language_model
from voicebench.events import AudioChunk, Usage
from voicebench.figures.metrics import compute
from voicebench.figures.summary import percentile
from voicebench.pipeline.protocols import LanguageModel, Synthesizer
from voicebench.pipeline.scheduling import TurnTaking
from voicebench.targets.cascade import Cascade, shared_device
from voicebench.turn.recorder import Recorder

REPEATS = 3
PROMPT_TOKENS = (16, 64, 250, 1000, 2000)
CHUNK_WORDS = (1, 3, 8, 20, 40)
REPLY_TOKENS = (5, 20, 50, 100, 200)
TURNS_AT_ONCE = (1, 2, 4, 8)
MODELS = {"b": "transformers", "c": "llama.cpp", "d3": "voicebench"}
VOICES = {"b": "onnxruntime, whole chunk", "c": "onnxruntime, windows", "d3": "voicebench"}
SENTENCE = (
    "the old man walked down to the river every morning and looked at the small boats that came "
    "from the islands with fish and fruit for the market in the middle of the town where people "
    "met their friends and talked"
)
WORDS = tuple(SENTENCE.split(" "))
LONG_STORY = "Write a very long story about a sailor and the sea, with all the details."

Table = dict[str, object]
"""``title``, ``columns`` and ``rows``: what the page prints."""


def measure(pipelines: Pipelines, prompts: Sequence[str]) -> list[Table]:
    """Measure all four; takes a few minutes."""
    return [
        prompt_length(pipelines),
        chunk_length(pipelines),
        reply_length(),
        turns_at_once(pipelines.ours, prompts),
    ]


def prompt_length(pipelines: Pipelines) -> Table:
    """Return the time to the first token by the length of the prompt."""
    models = {
        key: pipelines.targets[key].llm
        for key in (OURS.key, STRONGEST.key, NAIVE.key)
        if key in pipelines.targets
    }
    rows = []
    openings = count()  # each prompt begins otherwise: what two have in common is not computed
    for tokens in PROMPT_TOKENS:
        times: list[float] = []
        for key, llm in models.items():
            repeats = 1 if key == NAIVE.key and tokens > 500 else REPEATS
            times.append(median_ms(partial(_first, llm, tokens, openings), repeats))
        rows.append([tokens, *times])
    columns = ["prompt, in tokens", *(MODELS[key] for key in models)]
    return {"title": "prompt: time to the first token, ms", "columns": columns, "rows": rows}


def chunk_length(pipelines: Pipelines) -> Table:
    """Return the time to the first samples of a text chunk by its length."""
    voices = {
        key: pipelines.targets[key].tts
        for key in (OURS.key, STRONGEST.key, NAIVE.key)
        if key in pipelines.targets
    }
    rows = []
    for words in CHUNK_WORDS:
        text = " ".join(islice(cycle(WORDS), words)).capitalize() + "."
        times = [median_ms(partial(_first_sound, voice, text)) for voice in voices.values()]
        rows.append([words, *times])
    columns = ["chunk, in words", *(VOICES[key] for key in voices)]
    return {"title": "text chunk: time to its first samples, ms", "columns": columns, "rows": rows}


def reply_length() -> Table:
    """Return the time of a complete reply by its length, without a voice."""
    rows = []
    with closing(load_language_model(LLM, max_tokens=max(REPLY_TOKENS))) as whole:
        for limit in REPLY_TOKENS:
            llm = whole.with_rules(max_tokens=limit)
            tokens = [event.tokens for event in llm.reply(LONG_STORY) if isinstance(event, Usage)]
            rows.append([tokens[0], median_ms(partial(_whole, llm))])
    columns = ["reply, in tokens", "voicebench"]
    return {"title": "reply: time to its last token, ms", "columns": columns, "rows": rows}


def turns_at_once(ours: Cascade, prompts: Sequence[str]) -> Table:
    """Return the first audio of turns that start together on the same engines."""
    rows = []
    for number in TURNS_AT_ONCE:
        first: list[float] = []
        last: list[float] = []
        stalls: list[float] = []
        for repeat in range(REPEATS + 1):
            chosen = [prompts[(repeat + index) % len(prompts)] for index in range(number)]
            figures = together(ours, chosen)
            if repeat:
                first += [metrics["first_audio_ms"] or 0.0 for metrics in figures]
                last.append(max(metrics["first_audio_ms"] or 0.0 for metrics in figures))
                stalls += [metrics["stall_ms"] or 0.0 for metrics in figures]
        rows.append(
            [number, percentile(first, 50), percentile(last, 50), sum(stalls) / len(stalls)]
        )
    columns = ["turns at once", "`first_audio` p50, ms", "of the last one, ms", "mean stall, ms"]
    return {"title": "turns that start together", "columns": columns, "rows": rows}


def together(ours: Cascade, prompts: Sequence[str]) -> list[Mapping[str, float | None]]:
    """Take one turn for each prompt, all at once, as the server does; return their metrics."""
    device = shared_device(ours)
    recorders = [Recorder() for _ in prompts]
    threads = [
        threading.Thread(target=ours.run, args=(prompt, recorder.emit, TurnTaking(device=device)))
        for prompt, recorder in zip(prompts, recorders, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [compute(one.seal(1, "measured", AudibleRule()).timeline) for one in recorders]


def prompt_of(tokens: int, opening: str) -> str:
    """Return a prompt that begins with ``opening``; each of its other words is a token."""
    return " ".join([opening, *islice(cycle(WORDS), max(tokens - 1, 1))])


def _first(llm: LanguageModel, tokens: int, openings: Iterator[int]) -> None:
    prompt = prompt_of(tokens, str(next(openings)))
    assert isinstance(llm, InProcessLanguageModel)
    reply = llm.with_rules(max_tokens=1).reply(prompt)
    next(event for event in reply if event is not None)


def _whole(llm: LanguageModel) -> None:
    for _ in llm.reply(LONG_STORY):
        pass


def _first_sound(voice: Synthesizer, text: str) -> None:
    next(event for event in voice.speak(text) if isinstance(event, AudioChunk))


def median_ms(action: Callable[[], object], repeats: int = REPEATS) -> float:
    """Return the median time of ``action``, in milliseconds, after one that does not count."""
    action()
    return percentile([timed_ms(action) for _ in range(repeats)], 50)
