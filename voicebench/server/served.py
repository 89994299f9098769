"""What stands behind the server: the engines of this process, or a script of delays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from voicebench.engines.llm.generation import InProcessLanguageModel
from voicebench.errors import UsageError
from voicebench.events import Emit
from voicebench.pipeline.pipeline import speak_turn, write_turn
from voicebench.pipeline.scheduling import DeviceQueue, FreeForAll
from voicebench.server.clock import arrived_s
from voicebench.server.scripted import ScriptedModel, ScriptedVoice
from voicebench.settings import Settings
from voicebench.targets import Say
from voicebench.targets.cascade import Cascade, listening_buffer_s
from voicebench.targets.kinds import kind_of
from voicebench.targets.opening import check_target, open_target
from voicebench.targets.script import parse_script
from voicebench.targets.simulated import NS_PER_S, SAMPLE_RATE, RealClock, Simulated
from voicebench.text.chat_template import PastMessage
from voicebench.text.chunking import Chunker
from voicebench.text.prompts import language_of
from voicebench.text.prompts import load as load_prompts


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for an answer: what the user said, and what it sets itself (None: nothing)."""

    prompt: str
    system_prompt: str | None = None
    max_tokens: int | None = None
    earlier: tuple[PastMessage, ...] = ()
    """What user and model said before it, in turn, the user first."""


class Served(Protocol):
    """Something that answers, writes and speaks, several times at once.

    Each turn runs in threads of its own, with the schedule that `new_schedule` gave for it, and
    pushes the events of one whole turn.
    """

    chat_model: str
    """The name under which it writes."""
    voice: str
    """The name under which it speaks."""
    sample_rate: int | None
    """Of its voice, in Hz, where it is known beforehand."""

    def new_schedule(self) -> FreeForAll:
        """Return the order of work for one more turn."""
        ...

    def answer(self, asked: Asked, emit: Emit, schedule: FreeForAll) -> None:
        """Answer aloud."""
        ...

    def write(self, asked: Asked, emit: Emit, schedule: FreeForAll) -> None:
        """Answer in text alone."""
        ...

    def speak(self, text: str, emit: Emit, schedule: FreeForAll) -> None:
        """Speak ``text`` as it is."""
        ...

    def prompt_tokens(self, asked: Asked) -> int:
        """Return how many tokens a request for text has."""
        ...

    def token_limit(self, asked: Asked) -> int | None:
        """Return how many tokens its reply may have, if there is a limit."""
        ...

    def describe(self) -> dict[str, object]:
        """Return what a reader of results must know."""
        ...

    def close(self) -> None:
        """Release it."""
        ...


def check_served(settings: Settings) -> None:
    """Refuse what cannot be served, before anything is loaded. Raises `UsageError`."""
    check_target(settings)
    if kind_of(settings.run.target).wires(settings):
        raise UsageError(
            "an engine behind a wire cannot be served again", "measure its own server instead"
        )


def open_served(settings: Settings, say: Say) -> Served:
    """Load what ``settings`` name. Raises a `VoicebenchError` where that fails."""
    target = open_target(settings, say)
    if isinstance(target, Simulated):
        return ServedScript(settings.run.target, _chunker_of(settings))
    if isinstance(target, Cascade):
        return ServedCascade(target)
    target.close()
    raise UsageError(
        f"target {settings.run.target!r} cannot be served", "serve a cascade or a script, 'sim:…'"
    )


def warm_up(served: Served, say: Say, turns: int = 2) -> None:
    """Take some turns for nobody, so that no client meets a cold engine."""
    description = served.describe()
    if description.get("target") == "simulated":
        return
    say("warming up")
    voice = description.get("tts")
    language = language_of(str(voice.get("language"))) if isinstance(voice, dict) else "en"
    for prompt in load_prompts(None, language).rotate_warmup(turns):
        served.answer(Asked(prompt), lambda _event: None, served.new_schedule())


class ServedCascade:
    """A language model and a voice of this process; all turns share their device."""

    def __init__(self, cascade: Cascade) -> None:
        """Take the engines; `check_served` says which cannot be served."""
        model, voice = cascade.llm.describe(), cascade.tts.describe()
        self._cascade = cascade
        self._device = DeviceQueue(
            one_device=model.get("device") == voice.get("device"),
            buffer_s=listening_buffer_s(cascade.tts),
        )
        self.chat_model = _public_name(model.get("model"))
        self.voice = _public_name(voice.get("voice"))
        rate = voice.get("sample_rate")
        self.sample_rate = rate if isinstance(rate, int) else None

    def new_schedule(self) -> FreeForAll:
        """Return a place in the queue for the device."""
        return self._device.turn()

    def answer(self, asked: Asked, emit: Emit, schedule: FreeForAll) -> None:
        """Answer aloud."""
        llm = self._model_for(asked) or self._cascade.llm
        self._cascade.with_model(llm).run(asked.prompt, emit, schedule)

    def write(self, asked: Asked, emit: Emit, schedule: FreeForAll) -> None:
        """Answer in text alone."""
        llm = self._model_for(asked) or self._cascade.llm
        write_turn(asked.prompt, emit, llm=llm, schedule=schedule)

    def speak(self, text: str, emit: Emit, schedule: FreeForAll) -> None:
        """Speak ``text`` as it is."""
        speak_turn(text, emit, tts=self._cascade.tts, schedule=schedule)

    def prompt_tokens(self, asked: Asked) -> int:
        """Return how many tokens the model reads; the words, where it cannot say."""
        llm = self._model_for(asked)
        return llm.prompt_tokens(asked.prompt) if llm else len(asked.prompt.split())

    def token_limit(self, asked: Asked) -> int | None:
        """Return the lower one of the request's limit and the model's own."""
        own = self._cascade.llm.describe().get("max_tokens")
        limits = [limit for limit in (own, asked.max_tokens) if isinstance(limit, int)]
        return min(limits, default=None)

    def describe(self) -> dict[str, object]:
        """Return both engines' descriptions."""
        return self._cascade.describe()

    def close(self) -> None:
        """Release both engines."""
        self._cascade.close()

    def _model_for(self, asked: Asked) -> InProcessLanguageModel | None:
        llm = self._cascade.llm
        if not isinstance(llm, InProcessLanguageModel):
            return None
        ruled = llm.with_rules(system_prompt=asked.system_prompt, max_tokens=asked.max_tokens)
        return ruled.in_conversation(asked.earlier)


class ServedScript:
    """A simulated target: every delay is known, so the transport's own error can be seen."""

    def __init__(self, script: str, new_chunker: Callable[[], Chunker] = Chunker) -> None:
        """Read the script. Raises `UsageError`."""
        self._script = parse_script(script)
        clock = _RequestClock()
        self._target = Simulated(self._script, clock, new_chunker=new_chunker)
        self._model = ScriptedModel(self._script, clock)
        self._voice = ScriptedVoice(self._script, clock)
        self.chat_model = self.voice = "simulated"
        self.sample_rate: int | None = SAMPLE_RATE

    def new_schedule(self) -> FreeForAll:
        """Return no order at all: a script computes nothing."""
        return FreeForAll()

    def answer(self, asked: Asked, emit: Emit, schedule: FreeForAll) -> None:  # noqa: ARG002
        """Play a whole turn."""
        self._target.run(asked.prompt, emit)

    def write(self, asked: Asked, emit: Emit, schedule: FreeForAll) -> None:
        """Play the tokens of a turn."""
        model = self._model.with_limit(asked.max_tokens)
        write_turn(asked.prompt, emit, llm=model, schedule=schedule)

    def speak(self, text: str, emit: Emit, schedule: FreeForAll) -> None:
        """Play the audio of one text chunk."""
        speak_turn(text, emit, tts=self._voice, schedule=schedule)

    def prompt_tokens(self, asked: Asked) -> int:
        """Return the number of words."""
        texts = [asked.prompt, *(it.text for it in asked.earlier)]
        return sum(len(text.split()) for text in texts)

    def token_limit(self, asked: Asked) -> int | None:
        """Return the request's limit."""
        return asked.max_tokens

    def describe(self) -> dict[str, object]:
        """Return the script."""
        return self._target.describe()

    def close(self) -> None:
        """Nothing to release."""


class _RequestClock(RealClock):
    """A clock on which a turn begins when its request was in hand.

    The script says what a client waits for, so what this server needs to get a turn going comes
    out of its delays and not on top.
    """

    def __init__(self) -> None:
        # A clock that spins would keep the event loop from sending what was just played.
        super().__init__(spin_ns=0)

    def now_ns(self) -> int:
        """Return when the request that is being answered was in hand, in nanoseconds."""
        return round(arrived_s() * NS_PER_S)


def _public_name(name: object) -> str:
    """Return a model's name without the folder it lies in, which is nobody's business."""
    return Path(str(name or "")).name or "default"


def _chunker_of(settings: Settings) -> Callable[[], Chunker]:
    return lambda: Chunker(settings.chunker.first_words, settings.chunker.later_words)
