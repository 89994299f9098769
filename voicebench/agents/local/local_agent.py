"""The agent in this process: `Ears` (loaded models) before a cascade, and its calls."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from voicebench.agents.local.dialogue import Dialogue
from voicebench.agents.local.dialogue_parts import Suspicion
from voicebench.agents.local.ear_work import EarWork
from voicebench.agents.local.manual_turns import ManualDialogue
from voicebench.agents.local.spoken_reply import SpokenReply
from voicebench.agents.local.turn_policy import TurnPolicy
from voicebench.calls.agent_events import AgentEvent, AgentFailed, EmitAgentEvent
from voicebench.engines.ears import SAMPLE_RATE
from voicebench.engines.ears.recognition import Recognition, Transcript
from voicebench.engines.ears.turn_end import TurnEnd
from voicebench.engines.ears.voice_activity import SpeechProbability, VoiceActivity
from voicebench.pipeline.device_queue import DeviceQueue
from voicebench.targets.cascade import Cascade, shared_device
from voicebench.text.chat_template import PastMessage
from voicebench.text.prompts import load as load_prompts

if TYPE_CHECKING:
    from numpy.typing import NDArray

NO_WORDS_ABOVE = 0.6
SURE_WORDS_ABOVE = -1.0
"""Whisper writes something for any noise. A transcript is taken for none if the probability of no
speech is above the one and the mean log-probability below the other, as OpenAI's own code does."""

NO_FIRST_WORDS_ABOVE = 0.7
SURE_FIRST_WORDS_ABOVE = -1.3
"""Of some tenths of a second Whisper is less sure. Over 20 interruptions, 19 have both 160 ms after
speech was seen to begin; a hum, "mm-hmm" and the begin of "sure" have one of them at most."""

SETTLED_ABOVE = -0.46
"""Whisper invents a last word behind an unfinished sentence, and is less sure of it: over
60 lines, the mean log-probability is -0.16 to -0.46 at their ends, and mostly lower at pauses."""


class Ears:
    """The three models, loaded. Calls share the end of turn and the recognition."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """Fetch and load them. Raises as `voicebench.engines.ears.ear_models.fetch_ears`."""
        say("loading voice activity, end of turn and recognition")
        SpeechProbability()  # fails now, if at all
        self._turn_end = TurnEnd()
        self._recognition = Recognition()
        self._turn_end.probability(np.zeros(SAMPLE_RATE, np.float32), 0)
        self._recognition.transcribe(np.zeros(SAMPLE_RATE, np.float32))

    def activity(self) -> VoiceActivity:
        """Return the voice activity of one more call."""
        return VoiceActivity()

    def probability(self, pcm: NDArray[np.float32], silent: int) -> float:
        """Return the probability that the turn is over; see `TurnEnd.probability`."""
        return self._turn_end.probability(pcm, silent)

    def words(self, pcm: NDArray[np.float32]) -> tuple[str, bool]:
        """Return the words in ``pcm`` ("" if there are none), and whether they are settled."""
        found = self._recognition.transcribe(pcm)
        if is_noise(found):
            return "", True
        if not found.is_closed:
            return f"{found.text.rstrip('.?!')}…", False
        return found.text, found.log_probability >= SETTLED_ABOVE

    def first_words(self, pcm: NDArray[np.float32]) -> str:
        """Return the first words in ``pcm``; "" if they may be none."""
        found = self._recognition.first_words(pcm)
        is_sure = (
            found.no_speech <= NO_FIRST_WORDS_ABOVE
            and found.log_probability >= SURE_FIRST_WORDS_ABOVE
        )
        return found.text if is_sure else ""


def is_noise(found: Transcript) -> bool:
    """Return whether a transcript is probably of a noise."""
    return found.no_speech > NO_WORDS_ABOVE and found.log_probability < SURE_WORDS_ABOVE


class LocalCall:
    """One call: a thread takes frames and answers of the ears and decides."""

    def __init__(
        self,
        ears: Ears,
        cascade: Cascade,
        *,
        device: DeviceQueue,
        scope: str,
        emit: EmitAgentEvent,
        policy: TurnPolicy,
        kind: type[Dialogue] = Dialogue,
    ) -> None:
        self._cascade = cascade
        self._device = device
        self._scope = scope
        self._emit = emit
        self._is_open = True
        self._emitting = threading.Lock()
        self._replies: list[SpokenReply] = []
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._work = EarWork(
            ears.probability,
            ears.words,
            ears.first_words,
            judged=lambda number, found: self._put(partial(self.dialogue.judged, number, found)),
            recognised=lambda number, text, is_settled: self._put(
                partial(self.dialogue.recognised, number, text, is_settled)
            ),
            looked=lambda began, text: self._put(partial(self.dialogue.looked, began, text)),
        )
        self.dialogue: Dialogue = kind(
            ears.activity(), self._work, self._begin, self._pass_on, policy
        )
        self._thread = threading.Thread(target=self._run, name="voicebench-ears", daemon=True)
        self._thread.start()

    def hear(self, frame: NDArray[np.int16]) -> None:
        """Take the next frame, int16 mono at 16 kHz."""
        self._put(partial(self.dialogue.hear, frame))

    def hang_up(self) -> None:
        """End the call: no event is emitted afterwards."""
        with self._emitting:
            if not self._is_open:
                return
            self._is_open = False
        self._inbox.put(None)
        self._thread.join()
        self.dialogue.close()
        for reply in self._replies:
            reply.join()
        self._work.close()

    def _put(self, task: Callable[[], None]) -> None:
        self._inbox.put(task)

    def _run(self) -> None:
        while (task := self._inbox.get()) is not None:
            try:
                task()
            except Exception as error:  # a defect ends the call, and is shown
                self._pass_on(AgentFailed(f"local agent: {type(error).__name__}: {error}"))
                return

    def _begin(self, prompt: str, earlier: Sequence[PastMessage]) -> SpokenReply:
        reply = SpokenReply(
            prompt,
            earlier,
            cascade=self._cascade,
            device=self._device,
            scope=self._scope,
            take=lambda one, event: self._put(partial(self.dialogue.replied, one, event)),
        )
        self._replies = [*(one for one in self._replies if one.is_running), reply]
        return reply

    def _pass_on(self, event: AgentEvent) -> None:
        with self._emitting:
            if self._is_open:
                self._emit(event)


class ManualCall(LocalCall):
    """A call whose turns the caller's client ends by hand; see `ManualDialogue`."""

    dialogue: ManualDialogue

    def commit(self) -> None:
        """End the caller's turn."""
        self._put(self.dialogue.commit)

    def drop_sound(self) -> None:
        """Forget what was not committed yet."""
        self._put(self.dialogue.drop_sound)

    def respond(self) -> None:
        """Answer the committed turn aloud."""
        self._put(self.dialogue.respond)

    def cancel(self) -> None:
        """Discard the answer under way."""
        self._put(self.dialogue.cancel)


_Call = TypeVar("_Call", bound=LocalCall)


class LocalAgent:
    """Ears, a language model and a voice in this process."""

    def __init__(
        self,
        ears: Ears,
        cascade: Cascade,
        policy: TurnPolicy | None = None,
        device: DeviceQueue | None = None,
        *,
        closes_cascade: bool = False,
    ) -> None:
        """Join them; ``device`` is the queue of others that use the same engines.

        ``closes_cascade``: the cascade is this agent's alone, and is closed with it.
        """
        self._ears = ears
        self._cascade = cascade
        self._closes_cascade = closes_cascade
        self._device = device or shared_device(cascade)
        self._policy = policy or TurnPolicy()
        self._numbers = itertools.count(1)
        self._name = f"{id(self):x}"
        self.suspicions: list[Suspicion] = []
        """Of every call so far."""

    @property
    def sample_rate(self) -> int:
        """The rate at which it hears, in Hz."""
        return SAMPLE_RATE

    def open_call(self, emit: EmitAgentEvent) -> LocalCall:
        """Begin a call, with a conversation of its own."""
        return self._opened(LocalCall, Dialogue, emit)

    def open_manual_call(self, emit: EmitAgentEvent) -> ManualCall:
        """Begin a call whose turns are committed by hand."""
        return self._opened(ManualCall, ManualDialogue, emit)

    def _opened(self, kind: type[_Call], dialogue: type[Dialogue], emit: EmitAgentEvent) -> _Call:
        call = kind(
            self._ears,
            self._cascade,
            device=self._device,
            scope=f"call {self._name} {next(self._numbers)}",
            emit=emit,
            policy=self._policy,
            kind=dialogue,
        )
        self.suspicions.append(call.dialogue.suspicion)
        return call

    def warm_up(self, turns: int = 2) -> None:
        """Take some turns without a caller."""
        for prompt in load_prompts(None, "en").rotate_warmup(turns):
            self._cascade.run(prompt, lambda _event: None)

    def describe(self) -> dict[str, object]:
        """Return the engines, the models that hear, the policy, and what was thrown away."""
        found = self.suspicions
        return {
            **self._cascade.describe(),
            "agent": "local",
            "ears": "silero-vad, smart-turn-v3.2, whisper-base",
            "on_suspicion": self._policy.on_suspicion,
            "replies_begun_early": sum(one.begun for one in found),
            "replies_discarded": sum(one.discarded for one in found),
            "discarded_tokens": sum(one.discarded_tokens for one in found),
            "discarded_work_ms": round(sum(one.discarded_work_ms for one in found), 1),
        }

    def close(self) -> None:
        """Release the engines, if they are its own."""
        if self._closes_cascade:
            self._cascade.close()
