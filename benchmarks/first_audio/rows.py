"""The measured pipelines, each as a target.

All rows are voicebench's `Cascade` with different engines, so chunker, events and stamps are the
same code. The streaming rows also share its order of work on one device: speech goes before tokens
until first audio. Without it the language model and the voice would compete for the cores.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.first_audio import llama
from benchmarks.first_audio.onnx_voice import FrameVoice, PackageVoice, SentenceVoice
from voicebench.engines.llm.fast.tokenizer import FolderTokenizer
from voicebench.engines.llm.generation import (
    SPOKEN_SYSTEM_PROMPT,
    InProcessLanguageModel,
    ReplyRules,
)
from voicebench.engines.llm.language_model import load_language_model
from voicebench.engines.models import catalogue, ensure
from voicebench.engines.models.fetch import fetch
from voicebench.machine.devices import usable_cores
from voicebench.pipeline.protocols import LanguageModel
from voicebench.pipeline.scheduling import TurnTaking
from voicebench.settings import Settings, load_settings
from voicebench.targets.cascade import Cascade, open_cascade

LLM = "smollm2-135m-instruct"
PEERS_VOICE = "en_US-joe-medium"
"""A voice for `piper-tts`, the usual synthesizer beside llama.cpp. voicebench has its default."""
GGUF_FOLDER = Path(__file__).parents[2] / "build" / "interop" / LLM
TRIAL_PROMPT = "What is a good name for a small brown dog?"
FIRST_TOKENS = 5
"""About what three words take."""


@dataclass(frozen=True, slots=True)
class Row:
    """One pipeline: its letter and its title."""

    key: str
    title: str


SEQUENTIAL = Row("a", "transformers, whole reply; then onnxruntime, whole text")
NAIVE = Row("b", "transformers, streamed; onnxruntime, chunk by chunk")
STRONGEST = Row("c", "llama.cpp, streamed; onnxruntime, window by window")
SAME_VOICE = Row("e", "llama.cpp, streamed; voicebench's voice by onnxruntime, chunk by chunk")
OURS = Row("d3", "voicebench, first chunk of 3 words")
OURS_2 = Row("d2", "voicebench, first chunk of 2 words")
ROWS = (SEQUENTIAL, NAIVE, STRONGEST, SAME_VOICE, OURS, OURS_2)


@dataclass(frozen=True, slots=True)
class Pipelines:
    """The targets by the key of their row, and notes from loading them."""

    targets: dict[str, Cascade]
    notes: tuple[str, ...]

    @property
    def ours(self) -> Cascade:
        """voicebench with its default of 3 words."""
        return self.targets[OURS.key]

    def close(self) -> None:
        """Release all engines."""
        for key, target in self.targets.items():
            if key not in (OURS_2.key, SAME_VOICE.key):  # these share engines with another row
                target.close()


def open_pipelines() -> Pipelines:
    """Load the engines of every row. A row without its packages is skipped, and named."""
    settings = load_settings().settings
    notes = []
    voice = next(ensure(PEERS_VOICE).glob("*.onnx"))
    targets = {}
    whole, streamed, note = transformers_models(settings)
    notes.append(note)
    sentences = SentenceVoice(voice)
    targets[SEQUENTIAL.key] = _cascade(whole, sentences, settings, sequential=True)
    targets[NAIVE.key] = _cascade(streamed, sentences, settings)
    unusable = llama.why_not(gguf())
    if unusable is None:
        engine = llama.LlamaEngine(gguf(), usable_cores())
        rules = ReplyRules(
            settings.llm.max_tokens,
            system_prompt=SPOKEN_SYSTEM_PROMPT,
            end_after_words=settings.llm.end_after_words,
        )
        llm = InProcessLanguageModel(LLM, engine, FolderTokenizer(ensure(LLM)), rules)
        targets[STRONGEST.key] = _cascade(llm, FrameVoice(voice), settings)
        if PackageVoice.is_installed():
            targets[SAME_VOICE.key] = _cascade(llm, PackageVoice(usable_cores()), settings)
        else:
            notes.append(f"Row (e) was not measured: {PackageVoice.INSTALL} is needed for it.")
    else:
        notes.append(f"Rows (c) and (e) were not measured: {unusable}.")
    ours = open_cascade(settings, lambda _: None)
    targets[OURS.key] = ours
    targets[OURS_2.key] = ours.with_chunks(2, settings.chunker.later_words)
    return Pipelines(targets, tuple(notes))


def transformers_models(settings: Settings) -> tuple[LanguageModel, LanguageModel, str]:
    """Return transformers for rows (a) and (b), each in the faster precision on this machine.

    Row (a) waits for the whole reply, row (b) for its first tokens. On a processor without bfloat16
    instructions, bfloat16 makes decoding faster and reading the prompt slower. The last item has
    the measured times.
    """
    models = {}
    seconds = {}
    for precision in ("bf16", "fp32"):
        models[precision] = load_language_model(
            LLM,
            engine="transformers",
            precision=precision,
            max_tokens=settings.llm.max_tokens,
            end_after_words=settings.llm.end_after_words,
        )
        seconds[precision] = reply_seconds(models[precision])
    whole, first = (min(seconds, key=lambda name: seconds[name][which]) for which in (1, 0))
    for precision, model in models.items():
        if precision not in (whole, first):
            model.close()
    found = "; ".join(
        f"{name}: {1000 * seconds[name][0]:.0f} ms to the {FIRST_TOKENS}th token, "
        f"{1000 * seconds[name][1]:.0f} ms to the last"
        for name in seconds
    )
    note = f"transformers was tried in two precisions ({found}): row (a) has {whole}, (b) {first}."
    return models[whole], models[first], note


def reply_seconds(llm: LanguageModel) -> tuple[float, float]:
    """Return when the `FIRST_TOKENS`th token of a warm reply came, and when the last."""
    import time

    best = (float("inf"), float("inf"))
    for _ in range(3):
        begun = time.perf_counter()
        stamps = [time.perf_counter() - begun for _ in llm.reply(TRIAL_PROMPT)]
        best = min(best[0], stamps[FIRST_TOKENS - 1]), min(best[1], stamps[-1])
    return best


def gguf() -> Path:
    """Return the GGUF file of the embedded language model; fetch it the first time."""
    if not any(GGUF_FOLDER.glob("*.gguf")):
        GGUF_FOLDER.mkdir(parents=True, exist_ok=True)
        fetch(catalogue.entry(LLM), GGUF_FOLDER)
    return next(GGUF_FOLDER.glob("*.gguf"))


def _cascade(
    llm: LanguageModel,
    voice: SentenceVoice | FrameVoice | PackageVoice,
    settings: Settings,
    *,
    sequential: bool = False,
) -> Cascade:
    return Cascade(
        llm,
        voice,
        # A whole text is no chunk: `sequential` alone would still cut it.
        first_words=10_000 if sequential else settings.chunker.first_words,
        later_words=settings.chunker.later_words,
        sequential=sequential,
        new_schedule=TurnTaking,
    )
