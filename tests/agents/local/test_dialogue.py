"""The decisions of the agent in process, on scripted ears and replies: frames count the time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scripted_ears import FRAME, Asked, ScriptedHearing, ScriptedReply

from voicebench.agents.local.dialogue import Dialogue
from voicebench.agents.local.dialogue_parts import Replying
from voicebench.agents.local.turn_policy import TurnPolicy
from voicebench.calls.agent_events import (
    AgentAudio,
    AgentCleared,
    AgentEvent,
    AgentFailed,
    CallerTranscript,
    ReplyComplete,
    ReplyText,
    SpeechEndSeen,
    SpeechStartSeen,
)
from voicebench.engines.ears import SAMPLE_RATE
from voicebench.events import AudioChunk, Token, TurnFailed, TurnFinished
from voicebench.text.chat_template import PastMessage

SURE, UNSURE = 0.99, 0.01


class Call:
    """A dialogue, and what came of it."""

    def __init__(self, policy: TurnPolicy | None = None) -> None:
        self.events: list[AgentEvent] = []
        self.replies: list[ScriptedReply] = []
        self.asked = Asked()
        self.hearing = ScriptedHearing()
        self.starts = 0
        self.dialogue = Dialogue(self.hearing, self.asked, self._begin, self._take, policy)

    def _take(self, event: AgentEvent) -> None:
        if isinstance(event, SpeechStartSeen):
            self.starts += 1
        else:
            self.events.append(event)

    def _begin(self, prompt: str, earlier: Sequence[PastMessage]) -> Replying:
        self.replies.append(ScriptedReply(prompt, earlier))
        return self.replies[-1]

    def speak(self, ms: int) -> Call:
        return self._send(ms, 1000)

    def wait(self, ms: int) -> Call:
        return self._send(ms, 0)

    def _send(self, ms: int, level: int) -> Call:
        for _ in range(ms // 20):
            self.dialogue.hear(np.full(FRAME, level, np.int16))
        return self

    def answer(self, text: str, probability: float = SURE, *, is_settled: bool = True) -> Call:
        """Answer the newest questions."""
        if self.asked.judged:
            self.dialogue.judged(self.asked.judged[-1], probability)
        self.dialogue.recognised(self.asked.heard[-1], text, is_settled)
        return self

    def first_words(self, text: str) -> Call:
        """Answer the newest look at speech over the agent."""
        self.dialogue.looked(self.asked.looked[-1], text)
        return self

    def replied(self, seconds: float = 2.0) -> Call:
        """Let the newest reply speak, and end."""
        reply = self.replies[-1]
        self.dialogue.replied(reply, Token("Fine."))
        self.dialogue.replied(reply, AudioChunk(np.ones(round(seconds * 1000), np.float32), 1000))
        self.dialogue.replied(reply, TurnFinished())
        return self

    def kinds(self) -> list[type]:
        return [type(event) for event in self.events]


def test_a_reply_on_suspicion_is_heard_when_the_turn_is_over_and_not_before() -> None:
    call = Call().wait(240).speak(1000).wait(60).answer("What time is it?").replied()
    assert call.kinds() == [CallerTranscript]
    call.wait(100)
    assert call.kinds() == [CallerTranscript]
    call.wait(100)
    assert call.kinds()[1:] == [
        SpeechEndSeen,
        CallerTranscript,
        ReplyText,
        AgentAudio,
        ReplyComplete,
    ]
    assert [event.final for event in call.events if isinstance(event, CallerTranscript)] == [
        False,
        True,
    ]
    assert (call.dialogue.suspicion.begun, call.dialogue.suspicion.discarded) == (1, 0)


def test_without_suspicion_the_reply_begins_when_the_turn_is_over() -> None:
    call = Call(TurnPolicy(on_suspicion=False)).speak(1000).wait(60).answer("What time is it?")
    assert call.replies == []
    call.wait(240)
    assert [reply.prompt for reply in call.replies] == ["What time is it?"]


def test_a_pause_inside_a_sentence_discards_the_reply_and_what_it_cost_is_counted() -> None:
    call = Call().speak(1000).wait(60).answer("I would like to book a table.", UNSURE).replied()
    call.wait(540).speak(800)
    assert SpeechEndSeen not in call.kinds()
    assert call.replies[0].is_discarded
    found = call.dialogue.suspicion
    assert (found.begun, found.discarded, found.discarded_tokens) == (1, 1, 3)
    assert found.discarded_work_ms == 7.0
    call.wait(60).answer("I would like to book a table for four.").replied().wait(240)
    assert AgentAudio in call.kinds()
    assert call.replies[1].prompt == "I would like to book a table for four."
    assert AgentCleared not in call.kinds()  # nothing of the first was ever heard


def test_the_recogniser_is_not_given_the_silence_of_a_pause() -> None:
    call = Call().speak(1000).wait(1000).speak(1000).wait(20)
    spoken = 2 * SAMPLE_RATE
    assert spoken < call.asked.sizes[-1] < spoken + 0.5 * SAMPLE_RATE


@pytest.mark.parametrize(
    ("text", "probability", "is_settled", "silence_ms"),
    [
        ("What time is it?", SURE, True, 240),
        ("What time is it?", SURE, False, 680),
        ("What time is it?", 0.12, True, 680),
        ("What time is it?", UNSURE, True, 680),
        ("What time is it?", UNSURE, False, 1000),
        ("Thank you. Goodbye.", UNSURE, False, 680),
        ("I would like to", SURE, True, 680),
        ("I would like to", UNSURE, True, 1400),
        ("I would like the", SURE, True, 1400),
        ("Sorry, wait a moment.", SURE, True, 1400),
    ],
)
def test_the_less_likely_the_end_the_longer_the_wait(
    text: str, probability: float, is_settled: bool, silence_ms: int
) -> None:
    call = Call().speak(1000).wait(20).answer(text, probability, is_settled=is_settled)
    call.wait(silence_ms - 60)
    assert SpeechEndSeen not in call.kinds()
    call.wait(60)
    assert SpeechEndSeen in call.kinds()


def test_a_turn_does_not_end_while_the_caller_may_be_going_on() -> None:
    call = Call().speak(1000).wait(60).answer("What time is it?")
    call.hearing.may_start = True
    call.wait(400)
    assert SpeechEndSeen not in call.kinds()
    call.hearing.may_start = False
    call.wait(20)
    assert SpeechEndSeen in call.kinds()


def test_a_turn_is_over_even_if_the_models_never_answer() -> None:
    call = Call().speak(1000).wait(2000)
    assert call.kinds() == [SpeechEndSeen]
    call.dialogue.recognised(call.asked.heard[-1], "Hello there.")
    assert call.replies[0].prompt == "Hello there."


def test_an_answer_to_an_old_question_is_not_taken() -> None:
    call = Call().speak(1000).wait(60)
    old = call.asked.heard[-1]
    call.speak(300).wait(20)
    call.dialogue.recognised(old, "What time")
    assert call.events == []


def answered() -> Call:
    """Return a call whose agent has begun to speak for two seconds."""
    call = Call().speak(1000).wait(60).answer("What time is it?").replied().wait(240)
    assert call.dialogue.is_heard
    call.events.clear()
    return call


def test_words_over_the_agent_stop_it_and_are_the_next_turn() -> None:
    call = answered().speak(180).first_words("Wait")
    assert call.kinds() == [AgentCleared]
    assert call.replies[0].is_discarded
    assert not call.dialogue.is_heard
    call.speak(560).wait(40).answer("Wait, stop it please.").replied().wait(240)
    assert call.replies[1].prompt == "Wait, stop it please."
    # The history has what was heard of the first answer, not all of it.
    user, assistant = call.replies[1].earlier
    assert user.text == "What time is it?"
    assert assistant.text == "0.2 s of it"


@pytest.mark.parametrize("text", ["", "Mm-hmm.", "Yeah.", "Okay, right.", "(coughs)"])
def test_coughs_and_words_of_a_listener_do_not_stop_the_agent(text: str) -> None:
    call = answered().speak(300).first_words(text).wait(40).answer(text).wait(1000)
    assert call.events == []
    assert call.starts == 1  # of the question
    assert not call.replies[0].is_discarded


def test_long_speech_stops_the_agent_even_without_a_transcript() -> None:
    call = answered().speak(680)
    assert call.events == []
    call.speak(40)
    assert call.kinds() == [AgentCleared]


def test_a_look_that_takes_longer_than_the_next_one_counts_all_the_same() -> None:
    call = answered().speak(180)
    first = call.asked.looked[-1]
    call.speak(300)
    assert len(call.asked.looked) > 2
    call.dialogue.looked(first, "Wait")
    assert call.kinds() == [AgentCleared]


def test_a_look_at_earlier_speech_says_nothing_of_later_speech() -> None:
    call = answered().speak(300)
    earlier = call.asked.looked[-1]
    call.wait(40).answer("Mm-hmm.").speak(100)
    call.dialogue.looked(earlier, "Wait")
    assert call.events == []


def test_words_that_were_looked_for_are_no_transcript_of_the_interruption() -> None:
    call = answered().speak(240)
    looked_for = call.asked.looked[-1]
    call.speak(480)
    assert call.kinds() == [AgentCleared]  # so long that no words were needed
    call.dialogue.looked(looked_for, "Wait please")
    call.speak(400).wait(40).answer("Wait, please tell me about bread.").replied().wait(240)
    assert [reply.prompt for reply in call.replies[1:]] == ["Wait, please tell me about bread."]


def test_yes_is_an_answer_once_the_agent_has_ended() -> None:
    call = answered().wait(2000)
    call.speak(300).wait(40).answer("Yes.").replied().wait(240)
    assert call.replies[1].prompt == "Yes."
    assert AgentAudio in call.kinds()


def test_an_answer_whose_sound_comes_too_slowly_is_interrupted_too() -> None:
    call = Call().speak(1000).wait(60).answer("What time is it?").wait(240)
    reply = call.replies[0]
    call.dialogue.replied(reply, AudioChunk(np.ones(100, np.float32), 1000))
    call.wait(500)
    assert not call.dialogue.is_heard
    call.speak(300)
    assert reply.is_discarded
    assert call.starts == 1  # the clear says the second one
    assert call.kinds()[-1] is AgentCleared
    call.dialogue.replied(reply, AudioChunk(np.ones(100, np.float32), 1000))
    assert call.kinds()[-1] is AgentCleared


def test_a_noise_in_silence_is_no_turn() -> None:
    call = Call().speak(300).wait(40).answer("").wait(3000)
    assert call.events == []
    assert call.replies == []


def test_a_caller_who_goes_on_after_the_end_was_seen_takes_the_answer_back() -> None:
    call = Call().speak(1000).wait(60).answer("What time is it?").wait(240)
    assert SpeechEndSeen in call.kinds()
    call.speak(500)
    assert call.kinds()[-1] is AgentCleared
    call.wait(40).answer("What time is it in Rome?").replied().wait(240)
    assert call.replies[1].prompt == "What time is it in Rome?"
    assert call.replies[1].earlier == ()


def test_a_failed_reply_fails_the_call_with_its_reason() -> None:
    call = Call().speak(1000).wait(60).answer("What time is it?").wait(240)
    call.dialogue.replied(call.replies[0], TurnFailed("out of memory", "engine", "llm"))
    assert call.events[-1] == AgentFailed("out of memory")
