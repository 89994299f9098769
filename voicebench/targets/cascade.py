"""The cascade: any language model joined with any synthesizer, as one target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from copy import copy
from functools import partial
from typing import TYPE_CHECKING

from voicebench.errors import CannotMeasure, UsageError
from voicebench.events import CancelHow, Emit
from voicebench.machine.devices import check_device
from voicebench.machine.extras import require
from voicebench.pipeline.device_queue import DeviceQueue, TurnCancelled
from voicebench.pipeline.pipeline import WRITER, run_turn
from voicebench.pipeline.protocols import (
    ConversingModel,
    LanguageModel,
    PacedSpeaker,
    PreparesNext,
    SharesSteps,
    Synthesizer,
    WholeSpeaker,
)
from voicebench.pipeline.scheduling import BUFFER_S, FreeForAll, TurnTaking, buffer_for
from voicebench.pipeline.waiting_threads import WaitingThreads
from voicebench.remote import Remote
from voicebench.remote.connection.access import address_of
from voicebench.remote.connection.timeouts import TurnDeadline
from voicebench.settings import Settings
from voicebench.targets import Say, TargetKind
from voicebench.targets.cancelling import RunningEngines
from voicebench.targets.engine_opening import (
    open_llm,
    open_remote_llm,
    open_remote_tts,
    open_voice,
)
from voicebench.targets.reaching import reached
from voicebench.targets.speech_servers import SPEECH_SERVERS, check_speech_server, speech_server
from voicebench.text.chat_template import PastMessage
from voicebench.text.chunking import Chunker

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


CHAT = "chat, SSE"


class Cascade:
    """A language model, a chunker and a synthesizer, each local or remote.

    ``new_schedule`` returns the order of work for one turn: engines on one device take turns.
    """

    def __init__(
        self,
        llm: LanguageModel,
        tts: Synthesizer,
        *,
        first_words: int,
        later_words: int,
        sequential: bool = False,
        new_schedule: Callable[[], FreeForAll] = FreeForAll,
        deadline: TurnDeadline | None = None,
    ) -> None:
        self.llm = llm
        self.tts = tts
        self._first_words = first_words
        self._later_words = later_words
        self._sequential = sequential
        self._new_schedule = new_schedule
        self._deadline = deadline
        self._threads = WaitingThreads(WRITER)
        self._running: RunningEngines | None = None

    def check(self) -> None:
        """Open the connections of remote engines, or raise `CannotMeasure` naming the URL."""
        for engine in self._remote_engines():
            engine.check()

    def prepare(self) -> None:
        """Bring the connections of remote engines into the state that the next turn has to find."""
        self._threads.prepare()
        for engine in self._remote_engines():
            engine.prepare()

    def run(self, prompt: str, emit: Emit, schedule: FreeForAll | None = None) -> None:
        """Answer ``prompt`` aloud; see `voicebench.pipeline.pipeline.run_turn`.

        ``schedule`` replaces a new one if several turns share the engines.
        """
        if self._deadline is not None:
            self._deadline.start()
        running = RunningEngines(emit, schedule or self._new_schedule())
        self._running = running
        try:
            run_turn(
                prompt,
                running.emit,
                llm=self.llm,
                tts=self.tts,
                chunker=Chunker(self._first_words, self._later_words),
                sequential=self._sequential,
                schedule=running.schedule,
                threads=self._threads,
            )
        except TurnCancelled:
            if running.reply.how is None:
                raise
        finally:
            self._running = None
            running.end_if_interrupted()
        if isinstance(self.llm, PreparesNext) and running.reply.how is None:
            self.llm.prepare_next()

    def cancel(self, heard_s: float = 0.0) -> None:  # noqa: ARG002
        """Stop the running turn: within one step in this process, by hanging up on a server.

        If the voice is behind a URL, what its server goes on to do cannot be seen.
        """
        running = self._running
        if running is not None:
            how: CancelHow = "hung up" if isinstance(self.tts, Remote) else "asked"
            running.reply.interrupt(how, partial(running.stop, (self.llm, self.tts)))

    def speak_whole(self, chunks: Sequence[str]) -> NDArray[np.float32] | None:
        """Return the speech of text chunks in one piece, ``(samples,)``; None if the voice cannot.

        `voicebench.judging.streaming_check` compares streamed speech with it.
        """
        return self.tts.speak_whole(chunks) if isinstance(self.tts, WholeSpeaker) else None

    def with_chunks(self, first_words: int, later_words: int) -> Cascade:
        """Return the same cascade with other chunk sizes; both share their engines."""
        cascade = copy(self)
        cascade._first_words, cascade._later_words = first_words, later_words
        return cascade

    def with_model(self, llm: LanguageModel) -> Cascade:
        """Return the same cascade with another language model; both share the voice."""
        cascade = copy(self)
        cascade.llm = llm
        return cascade

    def in_conversation(self, earlier: Sequence[PastMessage], scope: str) -> Cascade:
        """Return the same cascade after the messages ``earlier``; both share their engines."""
        assert isinstance(self.llm, ConversingModel)  # every model of this package is one
        return self.with_model(self.llm.in_conversation(earlier, scope))

    def _remote_engines(self) -> list[Remote]:
        return [engine for engine in (self.llm, self.tts) if isinstance(engine, Remote)]

    def describe(self) -> dict[str, object]:
        """Return both engines' descriptions and how they are joined."""
        return {
            "target": "cascade",
            "llm": self.llm.describe(),
            "tts": self.tts.describe(),
            "first_words": self._first_words,
            "later_words": self._later_words,
            "sequential": self._sequential,
        }

    def close(self) -> None:
        """Release both engines."""
        self._threads.close()
        self.llm.close()
        self.tts.close()


def listening_buffer_s(tts: Synthesizer) -> float:
    """Return how many seconds of audio the listener needs before tokens go first."""
    return buffer_for(tts.longest_step_s) if isinstance(tts, PacedSpeaker) else BUFFER_S


def shared_device(cascade: Cascade) -> DeviceQueue:
    """Return the queue for turns that use the engines of ``cascade`` at the same time."""
    llm, tts = cascade.llm, cascade.tts
    return DeviceQueue(
        one_device=llm.describe().get("device") == tts.describe().get("device"),
        buffer_s=listening_buffer_s(tts),
        sharing=llm.step_sharing if isinstance(llm, SharesSteps) else None,
    )


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
        """Raise `UsageError` for a malformed URL, or a setting that a server cannot be sent.

        Raises `MissingExtra` if something is computed in this process and its packages are missing.
        """
        for name in sorted(settings.server.model_fields_set):
            raise UsageError(
                f"server.{name} has no effect with target 'cascade': it is of one endpoint that "
                "does the whole turn",
                "set llm.url and tts.url, or run.target = 'voice' or 'realtime'",
            )
        if settings.llm.url is None or settings.tts.url is None:
            require("local", "measure a server: --server URL")
        if settings.llm.url is not None:
            address_of(settings.llm.url, "http", "https")
        else:
            check_device(settings.llm_device())
        if settings.tts.url is not None:
            check_speech_server(settings.tts)
        else:
            check_device(settings.tts_device())

    def reach(self, settings: Settings, *, voice_only: bool) -> None:
        """Connect to the engines behind a URL, ask them what they serve, and hang up."""
        from voicebench.targets.preflight import check_names, check_routes, explain, sides_of
        from voicebench.targets.speech_preflight import check_speech_route, explain_speech

        is_asked = settings.wire.preflight
        sides = sides_of(settings, voice_only=voice_only) if is_asked else []
        check_routes(settings, sides)
        if is_asked:
            check_speech_route(settings)
        try:
            if settings.llm.url is not None and not voice_only:
                reached(open_remote_llm(settings)).close()
            if settings.tts.url is not None:
                reached(open_remote_tts(settings)).close()
        except CannotMeasure as error:
            raise explain_speech(explain(error, sides), settings) from None
        check_names(settings, sides)

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
