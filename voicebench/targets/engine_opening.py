"""From settings to a language model and a voice: loaded into this process, or connected to."""

from __future__ import annotations

from collections.abc import Mapping

from voicebench.machine.devices import set_threads, usable_cores
from voicebench.machine.slower import ENGINES, sentence, slower_in
from voicebench.pipeline.protocols import LanguageModel, Synthesizer
from voicebench.remote.connection.access import shown
from voicebench.remote.connection.timeouts import TurnDeadline
from voicebench.settings import Settings, secrets_of
from voicebench.targets import Say
from voicebench.targets.reaching import access_to, reached
from voicebench.targets.speech_servers import speech_server


def open_llm(settings: Settings, say: Say, deadline: TurnDeadline | None = None) -> LanguageModel:
    """Load or connect the language model. Raises a `VoicebenchError` if that fails."""
    if settings.llm.url is not None:
        remote = reached(open_remote_llm(settings, deadline))
        name = secrets_of(settings).hidden_in(str(remote.describe()["model"]))
        say(f"language model {name} at {shown(settings.llm.url)}")
        return remote
    from voicebench.engines.llm.language_model import load_language_model

    set_threads(engine_threads(settings))
    say(f"loading language model {settings.llm.model}")
    llm = load_language_model(
        settings.llm.model,
        device=settings.llm_device(),
        dtype=settings.llm.dtype,
        precision=settings.llm.precision,
        engine=settings.llm.engine,
        kernels=settings.llm.kernels,
        max_tokens=settings.llm.max_tokens,
        end_after_words=settings.llm.end_after_words,
        temperature=settings.llm.temperature,
        seed=settings.llm.seed,
        system_prompt=settings.llm.system_prompt,
        kept_mb=settings.llm.kept_mb,
        say=say,
    )
    _say_slower(say, "llm", llm.describe())
    return llm


def open_voice(settings: Settings, say: Say, deadline: TurnDeadline | None = None) -> Synthesizer:
    """Load or connect the voice. Raises a `VoicebenchError` if that fails."""
    if settings.tts.url is not None:
        remote, url = reached(open_remote_tts(settings, deadline)), shown(settings.tts.url)
        name = secrets_of(settings).hidden_in(str(remote.describe().get("voice") or ""))
        say(f"voice {name} at {url}" if name else f"voice at {url}")
        return remote
    from voicebench.engines.tts.synthesizer import load_synthesizer

    if settings.llm.url is not None:
        set_threads(engine_threads(settings))
    say(f"loading voice {settings.tts.voice}")
    voice = load_synthesizer(
        settings.tts.voice,
        device=settings.tts_device(),
        dtype=settings.tts.dtype,
        kernels=settings.tts.kernels,
        length_scale=settings.tts.length_scale,
        noise_scale=settings.tts.noise_scale,
        noise_w=settings.tts.noise_w,
        speaker_id=settings.tts.speaker_id,
        seed=settings.tts.seed,
        first_window=settings.tts.first_window_ms,
        trim_silence=settings.tts.trim_silence,
        say=say,
    )
    _say_slower(say, "tts", voice.describe())
    return voice


def engine_threads(settings: Settings) -> int | None:
    """Return the CPU threads of the engines in process: as set, else None for one per core.

    If one engine is remote, a core is left to its client: a thread that wakes late stamps late,
    and the server would look slower than it is.
    """
    is_mixed = (settings.llm.url is None) != (settings.tts.url is None)
    if settings.run.threads is not None or not is_mixed:
        return settings.run.threads
    return max(1, usable_cores() - 1)


def open_remote_llm(settings: Settings, deadline: TurnDeadline | None = None) -> LanguageModel:
    """Return a client of the language model at ``llm.url``; it connects later.

    Raises `UsageError` for a malformed URL or key.
    """
    from voicebench.remote.clients.openai_chat import ChatOptions, OpenAiChat

    llm = settings.llm
    options = ChatOptions(
        max_tokens=llm.max_tokens,
        temperature=llm.temperature,
        seed=llm.seed,
        system_prompt=llm.system_prompt,
        stream=llm.stream,
        extra=llm.extra,
    )
    access = access_to(llm, settings, deadline)
    return OpenAiChat(llm.url or "", settings.named("llm.model"), options, access)


def open_remote_tts(settings: Settings, deadline: TurnDeadline | None = None) -> Synthesizer:
    """Return a client of the synthesizer at ``tts.url``; it connects later.

    Raises `UsageError` for a malformed URL or key.
    """
    return speech_server(settings.tts).open(settings, access_to(settings.tts, settings, deadline))


def _say_slower(say: Say, engine: str, description: Mapping[str, object]) -> None:
    """Say that an engine computes more slowly than it could, if its description says so."""
    slower = slower_in(description)
    if slower is not None:
        say(f"{sentence(ENGINES[engine], slower)}; {slower.remedy}")
