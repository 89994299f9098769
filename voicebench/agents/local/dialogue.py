"""The decisions of the agent in process: who speaks, and what follows from it.

A `Dialogue` takes the caller's frames, judgements of pauses, transcripts and events of replies, one
after another, in one thread. It never waits and reads no clock: frames count the time. Its ears and
replies (`voicebench.agents.local.dialogue_parts`) are passed in, so it can be tested alone.

1. Speech begins: an *utterance* is open. After each end of speech, the model that judges pauses and
   the recogniser are asked.
2. The transcript is there: on suspicion, a reply is begun, and its events are held back.
3. The silence is long enough by the policy: the turn is over. The reply's events go out.
4. The caller speaks again before that: the reply is discarded, and the utterance goes on.
5. The caller speaks while the agent is heard: if he says more than a listener does, the rest of the
   sound is taken back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from voicebench.agents.local.caller_sound import CallerSound
from voicebench.agents.local.caller_utterance import CallerUtterance
from voicebench.agents.local.dialogue_parts import Asking, EdgeFinding, Replying, Suspicion
from voicebench.agents.local.turn_policy import TurnPolicy, interrupts, is_turn, joined
from voicebench.calls.agent_events import (
    AgentAudio,
    AgentCleared,
    AgentFailed,
    CallerTranscript,
    EmitAgentEvent,
    ReplyComplete,
    ReplyText,
    SpeechEndSeen,
    SpeechStartSeen,
)
from voicebench.engines.ears import SAMPLE_RATE
from voicebench.engines.ears.voice_activity import SpeechStarted
from voicebench.events import AudioChunk, Event, Reply, Token, TurnFailed, TurnFinished
from voicebench.text.chat_template import PastMessage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PER_MS = SAMPLE_RATE / 1000
_LONGEST = 30 * SAMPLE_RATE


class Dialogue:
    """The decisions of one call; ``begin_reply`` takes the prompt and the messages before it."""

    def __init__(
        self,
        hearing: EdgeFinding,
        asking: Asking,
        begin_reply: Callable[[str, Sequence[PastMessage]], Replying],
        emit: EmitAgentEvent,
        policy: TurnPolicy | None = None,
    ) -> None:
        self._hearing = hearing
        self._asking = asking
        self._begin_reply = begin_reply
        self._emit = emit
        self._policy = policy or TurnPolicy()
        self.suspicion = Suspicion()
        self._sound = CallerSound(_LONGEST)
        self._said: list[PastMessage] = []
        self._number = 0
        """Of the last question to the ears; answers to earlier ones are out of date."""
        self._utterance: CallerUtterance | None = None
        self._is_speech = False
        self._voiced_until = 0
        self._probability: float | None = None
        self._text: str | None = None
        self._is_settled = self._is_over = False
        self._reply: Replying | None = None
        self._held: list[Event] | None = None
        self._is_complete = False
        self._played_from = self._played_until = 0
        self._over_agent: int | None = None
        """Where speech began that is heard while the agent speaks."""
        self._look_at = 0

    @property
    def is_heard(self) -> bool:
        """Whether the caller hears the agent now."""
        return self._sound.position < self._played_until

    def hear(self, frame: NDArray[np.int16]) -> None:
        """Take the next samples of the caller, int16 mono at 16 kHz."""
        self._sound.add(frame)
        for edge in self._hearing.feed(frame):
            if isinstance(edge, SpeechStarted):
                self._starts(edge.sample)
            else:
                self._stops(edge.sample)
        if self._is_speech and self._over_agent is not None:
            self._look_for_words()
        self._look_for_end()

    def judged(self, number: int, probability: float) -> None:
        """Take the judgement of a pause."""
        if number == self._number:
            self._probability = probability
            self._look_for_end()

    def recognised(self, number: int, text: str, is_settled: bool = True) -> None:
        """Take a transcript; see `TurnPolicy.silence_ms` for ``is_settled``."""
        if number != self._number:
            return
        self._is_settled = is_settled
        if self._over_agent is not None:
            self._words_over_agent(text)
        elif self._utterance is not None and not self._is_speech:
            self._words(text, self._utterance)
            self._look_for_end()

    def looked(self, began: int, text: str) -> None:
        """Take the first words of the speech over the agent that began at the sample ``began``.

        A look may take longer than the time to the next one. Its answer counts all the same.
        """
        if began == self._over_agent and self._is_speech and interrupts(text):
            self._interrupted()

    def replied(self, reply: Replying, event: Event) -> None:
        """Take an event of a reply."""
        if reply is not self._reply:
            return
        if self._held is not None:
            self._held.append(event)
        else:
            self._pass_on(event)

    def close(self) -> None:
        """Discard the reply under way."""
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.discard()

    def _starts(self, sample: int) -> None:
        self._number += 1
        self._is_speech = True
        if self._utterance is not None:
            self._utterance.goes_on(sample, self._voiced_until, self._text)
        self._probability = self._text = None
        was_heard = self._reply is not None and self._held is None and not self._is_complete
        if self._reply is not None and self._held is None and self._played_until:
            if self.is_heard:
                self._over_agent = sample
                self._look_at = sample + round(self._policy.words_after_ms * _PER_MS)
                return
            self._reply.discard()
            self._remember()
            if not self._is_complete:  # its sound came too slowly, and more was to come
                self._emit(AgentCleared())
        if self._reply is not None:
            self._throw_away()
        self._is_over = False
        if self._utterance is None:
            begins = sample if self._over_agent is None else self._over_agent
            self._utterance = CallerUtterance(begins)
            if not was_heard:  # else a clear says it
                self._emit(SpeechStartSeen())
        self._over_agent = None

    def _stops(self, sample: int) -> None:
        self._number += 1
        self._is_speech = False
        self._voiced_until = sample
        self._probability = self._text = None
        if self._over_agent is not None:
            self._asking.recognise(self._number, self._part_over_agent())
        elif self._utterance is not None:
            # The words take longer than the judgement, so they are asked for first.
            self._asking.recognise(self._number, self._utterance.part(self._sound))
            self._judge(self._utterance)

    def _judge(self, utterance: CallerUtterance) -> None:
        silent = self._sound.position - self._voiced_until
        self._asking.judge(self._number, utterance.whole(self._sound), silent)

    def _look_for_end(self) -> None:
        """End the turn if the silence has lasted long enough."""
        if self._is_speech or self._utterance is None or self._over_agent is not None:
            return
        silent_ms = (self._sound.position - self._voiced_until) / _PER_MS
        needed_ms = self._policy.silence_ms(
            self._probability, self._text, is_settled=self._is_settled
        )
        if silent_ms >= needed_ms and not self._is_over and not self._hearing.may_start:
            self._end_turn()

    def _look_for_words(self) -> None:
        """Ask for the words of speech that goes on while the agent is heard, again and again."""
        assert self._over_agent is not None
        now = self._sound.position
        if now - self._over_agent >= self._policy.stop_after_ms * _PER_MS:
            self._interrupted()
        elif now >= self._look_at:
            self._look_at = now + round(self._policy.words_again_ms * _PER_MS)
            self._asking.look(self._over_agent, self._part_over_agent())

    def _part_over_agent(self) -> NDArray[np.float32]:
        assert self._over_agent is not None
        return CallerUtterance(self._over_agent).part(self._sound)

    def _words_over_agent(self, text: str) -> None:
        ended = not self._is_speech
        # The agent may have ended by itself meanwhile: then any word is an answer to it.
        if interrupts(text) or (ended and not self.is_heard and is_turn(text)):
            utterance = self._interrupted()
            if ended:
                self._judge(utterance)
                self._words(text, utterance)
        elif ended:
            self._over_agent = None

    def _interrupted(self) -> CallerUtterance:
        """Take back the sound that was not heard yet; return the utterance, a new turn."""
        assert self._over_agent is not None
        self._utterance, self._over_agent = CallerUtterance(self._over_agent), None
        self._text = None
        if self._reply is not None:
            self._reply.discard()
        self._remember()
        self._is_over = False
        self._emit(AgentCleared())
        return self._utterance

    def _words(self, text: str, utterance: CallerUtterance) -> None:
        text = joined(utterance.words_before, text)
        if not is_turn(text):
            self._utterance = None
            return
        self._text = text
        self._emit(CallerTranscript(text, final=self._is_over))
        if self._is_over:
            self._begin(held=False)
        elif self._policy.on_suspicion:
            self.suspicion.begun += 1
            self._begin(held=True)

    def _end_turn(self) -> None:
        self._is_over = True
        self._emit(SpeechEndSeen())
        if self._text is None:
            return
        self._emit(CallerTranscript(self._text, final=True))
        if self._reply is None:
            self._begin(held=False)
            return
        self._release()

    def _release(self) -> None:
        """Pass on the events that were held back."""
        held, self._held = self._held, None
        for event in held or ():
            self._pass_on(event)

    def _begin(self, *, held: bool) -> None:
        assert self._text is not None
        if self._reply is not None:
            self._remember()
        if self._reply is not None:
            self._throw_away()
        self._is_complete = False
        self._held = [] if held else None
        self._played_from = self._played_until = 0
        self._reply = self._begin_reply(self._text, tuple(self._said))

    def _throw_away(self) -> None:
        """Discard a reply of which nothing was heard: the caller goes on."""
        reply = self._reply
        assert reply is not None
        reply.discard()
        self.suspicion.discarded += 1
        self.suspicion.discarded_tokens += reply.tokens
        self.suspicion.discarded_work_ms += reply.work_ms
        if self._held is None:
            self._emit(AgentCleared())
        self._reply = self._held = None

    def _pass_on(self, event: Event) -> None:
        if isinstance(event, AudioChunk):
            now = self._sound.position
            if not self._played_until:
                self._played_from = self._played_until = now
                self._utterance = None
            length = round(event.pcm.size * SAMPLE_RATE / event.sample_rate)
            self._played_until = max(self._played_until, now) + length
            self._emit(AgentAudio(event.pcm, event.sample_rate))
        elif isinstance(event, Token | Reply) and event.text:
            self._emit(ReplyText(event.text))
        elif isinstance(event, TurnFinished):
            self._utterance = None
            self._is_complete = True
            self._emit(ReplyComplete())
        elif isinstance(event, TurnFailed):
            self._utterance = None
            self._emit(AgentFailed(event.reason))

    def _remember(self) -> None:
        """Add the last turn to the conversation, as far as the agent was heard."""
        reply = self._reply
        if reply is None or not self._played_until:
            return
        heard_s = (min(self._sound.position, self._played_until) - self._played_from) / SAMPLE_RATE
        text = reply.heard(heard_s)
        if text:
            self._said += [PastMessage("user", reply.prompt), PastMessage("assistant", text)]
        self._reply = self._held = None
        self._played_until = 0
