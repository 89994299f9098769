"""From settings to a target that is ready to be measured: models loaded, connections open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from functools import partial
from typing import TypeVar, cast

from voicebench.engines.models import CATALOGUE, ensure
from voicebench.engines.models.fetch_progress import Report, ignore
from voicebench.errors import UsageError
from voicebench.events import WHOLE_TURN
from voicebench.machine.devices import check_device, set_threads, usable_cores
from voicebench.machine.slower import ENGINES, sentence, slower_in
from voicebench.pipeline.protocols import LanguageModel, Synthesizer
from voicebench.pipeline.scheduling import FreeForAll, TurnTaking
from voicebench.remote import Remote
from voicebench.remote.connection.access import shown
from voicebench.remote.connection.timeouts import TurnDeadline
from voicebench.settings import Effective, Settings, secrets_of, shown_settings
from voicebench.targets import Target
from voicebench.targets.cascade import Cascade, listening_buffer_s
from voicebench.targets.effect import check_keys, check_remote_engines, check_whole_turn
from voicebench.targets.remote_opening import open_remote_llm, open_remote_tts, open_server
from voicebench.targets.simulated import PREFIX, Simulated, parse_script
from voicebench.text.chunking import Chunker

Say = Callable[[str], None]
"""Take one line about what is going on, for people who wait."""


def check_target(settings: Settings) -> None:
    """Refuse what cannot work before anything is loaded; takes milliseconds.

    Raises `UsageError` or one of its kind.
    """
    target = settings.run.target
    check_keys(settings)
    if target.startswith(PREFIX):
        parse_script(target)
        return
    if target in WHOLE_TURN:
        check_whole_turn(settings)
        open_server(settings).close()
        return
    if target != "cascade":
        raise UsageError(
            f"unknown target {target!r}", "use 'cascade', 'voice', 'realtime' or 'sim:ttft=120ms,…'"
        )
    check_remote_engines(settings)
    if settings.llm.url is None:
        check_device(settings.llm_device())
    if settings.tts.url is None:
        check_device(settings.tts_device())


def fetch_models(settings: Settings, report: Report = ignore, *, voice_only: bool = False) -> None:
    """Get the models of the catalogue that ``settings`` name, where they are not here yet.

    Everything behind a wire is reached before, for what a download is worth depends on it. Raises
    `CannotMeasure` for a peer that is down, naming its URL, and for a model that cannot be had.
    """
    _reach(settings, voice_only=voice_only)
    if settings.run.target != "cascade":
        return
    names = []
    if settings.llm.url is None and not voice_only:
        names.append(settings.llm.model)
    if settings.tts.url is None:
        names.append(settings.tts.voice)
    embedded = {entry.name for entry in CATALOGUE}
    for name in names:
        if name in embedded:
            ensure(name, report)


def open_target(settings: Settings, say: Say) -> Target:
    """Load what ``settings`` name, and join it. Raises a `VoicebenchError` where that fails.

    A peer that cannot be reached is said at once, with its URL.
    """
    if settings.run.target.startswith(PREFIX):
        return Simulated(parse_script(settings.run.target), new_chunker=_chunker_of(settings))
    if settings.run.target in WHOLE_TURN:
        say(f"connecting to {shown(settings.server.url or '')}")
        return _reached(open_server(settings))
    return open_cascade(settings, say)


def _reach(settings: Settings, *, voice_only: bool) -> None:
    """Connect to everything behind a wire, and hang up. Raises `CannotMeasure`."""
    if settings.run.target in WHOLE_TURN:
        _reached(open_server(settings)).close()
    elif settings.run.target == "cascade":
        if settings.llm.url is not None and not voice_only:
            _reached(open_remote_llm(settings, None)).close()
        if settings.tts.url is not None:
            _reached(open_remote_tts(settings, None)).close()


_Peer = TypeVar("_Peer", Target, LanguageModel, Synthesizer)


def _reached(peer: _Peer) -> _Peer:
    """Return ``peer`` with its connection open. Raises `CannotMeasure` naming its URL."""
    assert isinstance(peer, Remote)
    try:
        peer.check()
    except BaseException:
        peer.close()
        raise
    return peer


def open_cascade(settings: Settings, say: Say) -> Cascade:
    """Load or connect the language model and the voice, and join them."""
    deadline = TurnDeadline(settings.wire.turn_s)
    llm_opened = partial(open_llm, settings, say, deadline)
    tts_opened = partial(open_voice, settings, say, deadline)
    with ExitStack() as unless_whole:
        # What is behind a wire goes first: nothing is loaded for a peer that is down.
        if settings.llm.url is None and settings.tts.url is not None:
            tts = unless_whole.enter_context(closing(tts_opened()))
            llm = unless_whole.enter_context(closing(llm_opened()))
        else:
            llm = unless_whole.enter_context(closing(llm_opened()))
            tts = unless_whole.enter_context(closing(tts_opened()))
        unless_whole.pop_all()
    in_process = settings.llm.url is None and settings.tts.url is None
    shared = in_process and llm.describe()["device"] == tts.describe()["device"]
    return Cascade(
        llm,
        tts,
        first_words=settings.chunker.first_words,
        later_words=settings.chunker.later_words,
        sequential=settings.run.sequential,
        new_schedule=partial(TurnTaking, listening_buffer_s(tts)) if shared else FreeForAll,
        deadline=deadline,
    )


def described(target: Target, settings: Settings) -> dict[str, object]:
    """Return how ``target`` describes itself: a server may have named itself by its key."""
    return {
        name: secrets_of(settings).hidden_within(value) for name, value in target.describe().items()
    }


def expected_settings(settings: Settings) -> dict[str, dict[str, object]]:
    """Return the settings that a run's result will keep, as far as they are known beforehand.

    Names that a server will give, or that nobody here answers to, are not among them.
    """
    expected = cast(dict[str, dict[str, object]], shown_settings(settings))
    whole_turn = settings.run.target in WHOLE_TURN
    for section, names in (("llm", ("model",)), ("tts", ("model", "voice"))):
        for name in names:
            unnamed = settings.named(f"{section}.{name}") is None
            if whole_turn or (getattr(settings, section).url is not None and unnamed):
                del expected[section][name]
    return expected


def named_by_servers(effective: Effective, description: Mapping[str, object]) -> Effective:
    """Return the settings with the names that servers gave where nobody else did.

    ``description`` is the open target's. Without this a result would hold the embedded model's
    name for one that never answered.
    """
    settings, origins = effective.settings, dict(effective.origins)
    for section, names in (("llm", ("model",)), ("tts", ("model", "voice"))):
        engine, peer = description.get(section), getattr(settings, section)
        if not isinstance(engine, Mapping) or engine.get("device") != "remote":
            continue
        given = {
            name: engine[name]
            for name in names
            if settings.named(f"{section}.{name}") is None and engine.get(name)
        }
        settings = settings.model_copy(update={section: peer.model_copy(update=given)})
        origins |= dict.fromkeys((f"{section}.{name}" for name in given), "the server")
    return Effective(settings, origins)


def recorded_settings(
    effective: Effective, description: Mapping[str, object]
) -> dict[str, dict[str, object]]:
    """Return the settings as a result keeps them: no name of an engine that took no part.

    Where a server does the whole turn, or speaks without being told a voice, the embedded names
    are nobody's. ``description`` is the open target's. Keys and passwords are hidden.
    """
    recorded = cast(dict[str, dict[str, object]], shown_settings(effective.settings))
    voice = description.get("tts")
    if effective.settings.run.target in WHOLE_TURN:
        recorded["llm"]["model"] = description.get("model")
        recorded["tts"]["voice"] = None
    elif isinstance(voice, Mapping) and voice.get("device") == "remote":
        recorded["tts"]["voice"] = voice.get("voice")
    return recorded


def engine_threads(settings: Settings) -> int | None:
    """Return the CPU threads of the engines in process: as set, else None for one per core.

    Where one engine is remote, a core is left to its client: a thread that is woken late stamps
    late, and the server would look slower than it is.
    """
    is_mixed = (settings.llm.url is None) != (settings.tts.url is None)
    if settings.run.threads is not None or not is_mixed:
        return settings.run.threads
    return max(1, usable_cores() - 1)


def open_llm(settings: Settings, say: Say, deadline: TurnDeadline | None = None) -> LanguageModel:
    """Load or connect the language model alone."""
    if settings.llm.url is not None:
        remote = _reached(open_remote_llm(settings, deadline))
        name = secrets_of(settings).hidden_in(str(remote.describe()["model"]))
        say(f"language model {name} at {shown(settings.llm.url)}")
        return remote
    from voicebench.engines.llm.language_model import load_language_model

    set_threads(engine_threads(settings))
    say(f"loading language model {settings.llm.model}")
    made = load_language_model(
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
        say=say,
    )
    _say_slower(say, "llm", made.describe())
    return made


def open_voice(settings: Settings, say: Say, deadline: TurnDeadline | None = None) -> Synthesizer:
    """Load or connect the voice alone."""
    if settings.tts.url is not None:
        remote, url = _reached(open_remote_tts(settings, deadline)), shown(settings.tts.url)
        name = secrets_of(settings).hidden_in(str(remote.describe().get("voice") or ""))
        say(f"voice {name} at {url}" if name else f"voice at {url}")
        return remote
    from voicebench.engines.tts.synthesizer import load_synthesizer

    if settings.llm.url is not None:
        set_threads(engine_threads(settings))
    say(f"loading voice {settings.tts.voice}")
    made = load_synthesizer(
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
    _say_slower(say, "tts", made.describe())
    return made


def _say_slower(say: Say, engine: str, description: Mapping[str, object]) -> None:
    """Say that an engine computes more slowly than it could, where its description says so."""
    slower = slower_in(description)
    if slower is not None:
        say(f"{sentence(ENGINES[engine], slower)}; {slower.remedy}")


def _chunker_of(settings: Settings) -> Callable[[], Chunker]:
    return lambda: Chunker(settings.chunker.first_words, settings.chunker.later_words)
