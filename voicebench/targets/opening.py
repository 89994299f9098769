"""From settings to a target that is ready to be measured: models loaded, connections open."""

from __future__ import annotations

from collections.abc import Callable

from voicebench.chunking import Chunker
from voicebench.devices import check_device
from voicebench.errors import UsageError
from voicebench.models import CATALOGUE, ensure
from voicebench.models.progress import Report, ignore
from voicebench.scheduling import FreeForAll, TurnTaking
from voicebench.settings import Settings
from voicebench.targets import Target
from voicebench.targets.cascade import Cascade
from voicebench.targets.simulated import PREFIX, Simulated, parse_script
from voicebench.tts import Synthesizer

Say = Callable[[str], None]
"""Take one line about what is going on, for people who wait."""


def check_target(settings: Settings) -> None:
    """Refuse what cannot work before anything is loaded; takes milliseconds.

    Raises `UsageError` or one of its kind.
    """
    if settings.run.target.startswith(PREFIX):
        parse_script(settings.run.target)
        return
    if settings.run.target != "cascade":
        raise UsageError(
            f"unknown target {settings.run.target!r}", "use 'cascade' or 'sim:ttft=120ms,…'"
        )
    check_device(settings.llm_device())
    check_device(settings.tts_device())


def fetch_models(settings: Settings, report: Report = ignore, *, voice_only: bool = False) -> None:
    """Get the models of the catalogue that ``settings`` name, where they are not here yet."""
    if settings.run.target.startswith(PREFIX):
        return
    embedded = {entry.name for entry in CATALOGUE}
    names = (settings.tts.voice,) if voice_only else (settings.llm.model, settings.tts.voice)
    for name in names:
        if name in embedded:
            ensure(name, report)


def open_target(settings: Settings, say: Say) -> Target:
    """Load what ``settings`` name, and join it. Raises a `VoicebenchError` where that fails."""
    if settings.run.target.startswith(PREFIX):
        return Simulated(parse_script(settings.run.target), new_chunker=_chunker_of(settings))
    return open_cascade(settings, say)


def open_cascade(settings: Settings, say: Say) -> Cascade:
    """Load the language model and the voice, and join them."""
    from voicebench.devices import set_threads
    from voicebench.llm.local import load_language_model

    set_threads(settings.run.threads)
    say(f"loading language model {settings.llm.model}")
    llm = load_language_model(
        settings.llm.model,
        device=settings.llm_device(),
        dtype=settings.llm.dtype,
        engine=settings.llm.engine,
        max_tokens=settings.llm.max_tokens,
        end_after_words=settings.llm.end_after_words,
        temperature=settings.llm.temperature,
        seed=settings.llm.seed,
        system_prompt=settings.llm.system_prompt,
    )
    tts = open_voice(settings, say)
    one_device = llm.describe().get("device") == tts.describe().get("device")
    return Cascade(
        llm,
        tts,
        first_words=settings.chunker.first_words,
        later_words=settings.chunker.later_words,
        sequential=settings.run.sequential,
        new_schedule=TurnTaking if one_device else FreeForAll,
    )


def open_voice(settings: Settings, say: Say) -> Synthesizer:
    """Load the voice alone."""
    from voicebench.tts.local import load_synthesizer

    say(f"loading voice {settings.tts.voice}")
    return load_synthesizer(
        settings.tts.voice,
        device=settings.tts_device(),
        dtype=settings.tts.dtype,
        length_scale=settings.tts.length_scale,
        noise_scale=settings.tts.noise_scale,
        noise_w=settings.tts.noise_w,
        speaker_id=settings.tts.speaker_id,
        seed=settings.tts.seed,
    )


def _chunker_of(settings: Settings) -> Callable[[], Chunker]:
    return lambda: Chunker(settings.chunker.first_words, settings.chunker.later_words)
