"""The pipeline behind the server: the engines of this process, or a script of delays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from voicebench.engines.llm.generation import InProcessLanguageModel
from voicebench.errors import UsageError
from voicebench.events import Emit
from voicebench.pipeline.pipeline import speak_turn, write_turn
from voicebench.pipeline.protocols import LanguageModel, PreparesNext, Synthesizer
from voicebench.pipeline.scheduling import FreeForAll, TurnTaking
from voicebench.server.clock import arrived_s
from voicebench.server.scripted_engines import ScriptedModel, ScriptedVoice
from voicebench.settings import Settings
from voicebench.targets import Say, Target
from voicebench.targets.cascade import Cascade, shared_device
from voicebench.targets.kinds import check_target, kind_of, open_target
from voicebench.targets.script import parse_script
from voicebench.targets.simulated import NS_PER_S, RealClock, Simulated
from voicebench.text.chat_template import PastMessage
from voicebench.text.chunking import Chunker
from voicebench.text.prompts import language_of
from voicebench.text.prompts import load as load_prompts

if TYPE_CHECKING:
    from voicebench.agents.local.local_agent import LocalAgent

_SERVED = "served"
"""All requests may find again what earlier ones computed."""


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """A request for an answer. None leaves the server's own setting."""

    prompt: str
    system_prompt: str | None = None
    max_tokens: int | None = None
    earlier: tuple[PastMessage, ...] = ()
    """The conversation before the prompt: user and model in turn, the user first."""


class Served(ABC):
    """Something that answers, writes and speaks, several times at once.

    Each turn runs in threads of its own, with a schedule that `new_schedule` made for it. It emits
    the events of one whole turn.
    """

    sample_rate: int | None
    """The voice's rate in Hz, if it is known in advance."""
    parameters: int | None
    """How many parameters the model has; None where it does not say."""
    needs_warm_up = True
    """Whether the first turns are slower than later ones."""

    def __init__(self, target: Target, model: LanguageModel, voice: Synthesizer) -> None:
        self._target = target
        self._model = model
        self._voice = voice
        described = voice.describe()
        rate = described.get("sample_rate")
        self.sample_rate = rate if isinstance(rate, int) else None
        about = model.describe()
        self.chat_model = _public_name(about.get("model"))
        parameters = about.get("parameters")
        self.parameters = parameters if isinstance(parameters, int) else None
        self.voice = _public_name(described.get("voice"))

    def new_schedule(self) -> FreeForAll:
        """Return the order of work for one more turn."""
        return FreeForAll()

    @abstractmethod
    def answer(self, request: AnswerRequest, emit: Emit, schedule: FreeForAll) -> None:
        """Answer aloud."""

    def write(self, request: AnswerRequest, emit: Emit, schedule: FreeForAll) -> None:
        """Answer in text alone."""
        write_turn(request.prompt, emit, llm=self._model_for(request), schedule=schedule)

    def speak(self, text: str, emit: Emit, schedule: FreeForAll) -> None:
        """Speak ``text`` as it is."""
        speak_turn(text, emit, tts=self._voice, schedule=schedule)

    def prompt_tokens(self, request: AnswerRequest) -> int:
        """Return how many tokens the model reads; the number of words if it does not say."""
        llm = self._model_for(request)
        if isinstance(llm, InProcessLanguageModel):
            return llm.prompt_tokens(request.prompt)
        texts = [request.prompt, *(message.text for message in request.earlier)]
        return sum(len(text.split()) for text in texts)

    def token_limit(self, request: AnswerRequest) -> int | None:
        """Return the lower of the request's limit and the model's own; None without a limit."""
        own = self._model.describe().get("max_tokens")
        return min((one for one in (own, request.max_tokens) if isinstance(one, int)), default=None)

    def describe(self) -> dict[str, object]:
        """Return what a reader of results must know."""
        return self._target.describe()

    def close(self) -> None:
        """Release the engines."""
        self._target.close()

    @abstractmethod
    def _model_for(self, request: AnswerRequest) -> LanguageModel:
        """Return the language model with what the request sets itself."""


class ServedCascade(Served):
    """A language model and a voice of this process; all turns share their device."""

    def __init__(self, cascade: Cascade) -> None:
        super().__init__(cascade, cascade.llm, cascade.tts)
        self._cascade = cascade
        self._device = shared_device(cascade)

    def local_agent(self, settings: Settings, say: Say) -> LocalAgent:
        """Return an agent that answers calls with these engines; loads its ears.

        Raises as `voicebench.agents.local.local_agent.Ears`.
        """
        from voicebench.agents.local.local_agent import Ears, LocalAgent
        from voicebench.agents.local.local_opening import turn_policy

        policy = turn_policy(settings)
        return LocalAgent(Ears(say), self._cascade, policy, device=self._device)

    def new_schedule(self) -> FreeForAll:
        """Return a place in the queue for the device."""
        return TurnTaking(device=self._device)

    def answer(self, request: AnswerRequest, emit: Emit, schedule: FreeForAll) -> None:
        """Answer aloud."""
        self._cascade.with_model(self._model_for(request)).run(request.prompt, emit, schedule)

    def write(self, request: AnswerRequest, emit: Emit, schedule: FreeForAll) -> None:
        """Answer in text alone. After a turn of a conversation, prepare its next one."""
        llm = self._model_for(request)
        write_turn(request.prompt, emit, llm=llm, schedule=schedule)
        if request.earlier and isinstance(llm, PreparesNext):
            try:
                with schedule.token_step():
                    llm.prepare_next()
            finally:
                schedule.give_way()

    def _model_for(self, request: AnswerRequest) -> LanguageModel:
        llm = self._model
        if not isinstance(llm, InProcessLanguageModel):
            return llm
        changed = llm.with_rules(system_prompt=request.system_prompt, max_tokens=request.max_tokens)
        return changed.in_conversation(request.earlier, scope=_SERVED)


class ServedScript(Served):
    """A simulated target: every delay is known, so the transport's own error can be measured."""

    needs_warm_up = False

    def __init__(self, script: str, new_chunker: Callable[[], Chunker] = Chunker) -> None:
        """Parse the script. Raises `UsageError`."""
        parsed, clock = parse_script(script), _RequestClock()
        self._scripted = ScriptedModel(parsed, clock)
        target = Simulated(parsed, clock, new_chunker=new_chunker)
        super().__init__(target, self._scripted, ScriptedVoice(parsed, clock))

    def answer(self, request: AnswerRequest, emit: Emit, schedule: FreeForAll) -> None:  # noqa: ARG002
        """Play a whole turn."""
        self._target.run(request.prompt, emit)

    def _model_for(self, request: AnswerRequest) -> LanguageModel:
        return self._scripted.with_limit(request.max_tokens)


def check_served(settings: Settings) -> None:
    """Raise `UsageError` for settings that cannot be served, before anything is loaded."""
    check_target(settings)
    if kind_of(settings).wires(settings):
        raise UsageError(
            "an engine behind a URL cannot be served", "measure its own server instead"
        )


def open_served(settings: Settings, say: Say) -> Served:
    """Load what ``settings`` name. Raises a `VoicebenchError` if that fails."""
    target = open_target(settings, say)
    if isinstance(target, Simulated):
        chunker = partial(Chunker, settings.chunker.first_words, settings.chunker.later_words)
        return ServedScript(settings.run.target, chunker)
    if isinstance(target, Cascade):
        return ServedCascade(target)
    target.close()
    raise UsageError(
        f"target {settings.run.target!r} cannot be served", "serve a cascade or a script, 'sim:…'"
    )


def warm_up(served: Served, say: Say, turns: int = 2) -> None:
    """Take some turns without a client, so that the engines are warm for the first one."""
    if not served.needs_warm_up:
        return
    say("warming up")
    voice = served.describe().get("tts")
    language = language_of(str(voice.get("language"))) if isinstance(voice, dict) else "en"
    for prompt in load_prompts(None, language).rotate_warmup(turns):
        served.answer(AnswerRequest(prompt), lambda _event: None, served.new_schedule())


class _RequestClock(RealClock):
    """A clock on which a turn begins when its request arrived.

    A script gives the delays that a client should see. So the time that this server needs to start
    a turn counts as part of these delays.
    """

    def __init__(self) -> None:
        # A clock that spins would keep the event loop from sending what was just played.
        super().__init__(spin_ns=0)

    def now_ns(self) -> int:
        """Return when the request that is being answered arrived, in nanoseconds."""
        return round(arrived_s() * NS_PER_S)


def _public_name(name: object) -> str:
    """Return a model's name without its folder, which a client should not see."""
    return Path(str(name or "")).name or "default"
