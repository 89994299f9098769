"""The cascade as a kind of target: two engines, each in this process or behind a URL."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, closing
from functools import partial

from voicebench.errors import UsageError
from voicebench.machine.devices import check_device
from voicebench.pipeline.scheduling import FreeForAll, TurnTaking
from voicebench.remote.connection.access import address_of
from voicebench.remote.connection.timeouts import TurnDeadline
from voicebench.settings import Settings
from voicebench.targets import Say, TargetKind
from voicebench.targets.cascade import Cascade, listening_buffer_s
from voicebench.targets.engine_opening import (
    open_llm,
    open_remote_llm,
    open_remote_tts,
    open_voice,
)
from voicebench.targets.reaching import reached
from voicebench.targets.speech_servers import SPEECH_SERVERS, check_speech_server, speech_server

CHAT = "chat, SSE"


class CascadeKind(TargetKind):
    """A language model, the chunker and a synthesizer, each in process or behind a URL."""

    name = "cascade"
    example = "cascade"

    def settings_from_url(self, url: str) -> dict[str, object] | None:
        """Take the URL of a kind of TTS server."""
        for server in SPEECH_SERVERS:
            found = server.settings_from_url(url)
            if found is not None:
                return {"run.target": self.name} | found
        return None

    def check(self, settings: Settings) -> None:
        """Raise `UsageError` for a malformed URL, or a setting that a server cannot be sent."""
        for name in sorted(settings.server.model_fields_set):
            raise UsageError(
                f"server.{name} has no effect with target 'cascade': it is of one endpoint that "
                "does the whole turn",
                "set llm.url and tts.url, or run.target = 'voice' or 'realtime'",
            )
        if settings.llm.url is not None:
            address_of(settings.llm.url, "http", "https")
        else:
            check_device(settings.llm_device())
        if settings.tts.url is not None:
            check_speech_server(settings.tts)
        else:
            check_device(settings.tts_device())

    def reach(self, settings: Settings, *, voice_only: bool) -> None:
        """Connect to the engines behind a URL, and hang up."""
        if settings.llm.url is not None and not voice_only:
            reached(open_remote_llm(settings)).close()
        if settings.tts.url is not None:
            reached(open_remote_tts(settings)).close()

    def models(self, settings: Settings, *, voice_only: bool) -> list[str]:
        """Return the names of the engines in process."""
        llm = [settings.llm.model] if settings.llm.url is None and not voice_only else []
        return llm + ([settings.tts.voice] if settings.tts.url is None else [])

    def open(self, settings: Settings, say: Say) -> Cascade:
        """Load or connect both engines, and join them."""
        return open_cascade(settings, say)

    def wires(self, settings: Settings) -> tuple[str, ...]:
        """Return the chat's wire and the voice's."""
        chat = (CHAT,) if settings.llm.url is not None else ()
        tts = settings.tts
        return chat + (speech_server(tts).wires(tts) if tts.url is not None else ())

    def served_names(
        self, settings: Settings, description: Mapping[str, object]
    ) -> dict[str, object]:
        """Return the names that are not set, of engines behind a URL."""
        names = {}
        for key in ("llm.model", "tts.model", "tts.voice"):
            section, _, name = key.partition(".")
            engine = description.get(section)
            if getattr(settings, section).url is not None and settings.named(key) is None:
                names[key] = engine.get(name) if isinstance(engine, Mapping) else None
        return names


def open_cascade(settings: Settings, say: Say) -> Cascade:
    """Load or connect the language model and the voice, and join them."""
    deadline = TurnDeadline(settings.wire.turn_s)
    with ExitStack() as opened:
        # What is behind a wire goes first: nothing is loaded if a server is down.
        if settings.llm.url is None and settings.tts.url is not None:
            tts = opened.enter_context(closing(open_voice(settings, say, deadline)))
            llm = opened.enter_context(closing(open_llm(settings, say, deadline)))
        else:
            llm = opened.enter_context(closing(open_llm(settings, say, deadline)))
            tts = opened.enter_context(closing(open_voice(settings, say, deadline)))
        opened.pop_all()
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
