"""Turns that are committed by hand, on scripted ears and replies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scripted_ears import FRAME, Asked, ScriptedHearing, ScriptedReply

from voicebench.agents.local.manual_turns import ManualDialogue
from voicebench.calls.agent_events import (
    AgentAudio,
    AgentEvent,
    CallerTranscript,
    ReplyComplete,
    ReplyText,
    SpeechEndSeen,
)
from voicebench.events import AudioChunk, Token
from voicebench.text.chat_template import PastMessage


class Manual:
    def __init__(self) -> None:
        self.events: list[AgentEvent] = []
        self.replies: list[ScriptedReply] = []
        self.asked = Asked()
        self.dialogue = ManualDialogue(
            ScriptedHearing(), self.asked, self._begin, self.events.append
        )

    def _begin(self, prompt: str, earlier: Sequence[PastMessage]) -> ScriptedReply:
        self.replies.append(ScriptedReply(prompt, earlier))
        return self.replies[-1]

    def hear(self, ms: int, level: int = 1000) -> None:
        for _ in range(ms // 20):
            self.dialogue.hear(np.full(FRAME, level, np.int16))

    def commit(self, text: str) -> None:
        self.dialogue.commit()
        self.dialogue.recognised(self.asked.heard[-1], text)

    def kinds(self) -> list[type]:
        return [type(event) for event in self.events]


def spoken(call: Manual) -> None:
    call.dialogue.replied(call.replies[-1], Token("Fine."))
    call.dialogue.replied(call.replies[-1], AudioChunk(np.ones(2000, np.float32), 1000))


def test_no_pause_ends_a_turn_and_the_answer_waits_until_it_is_asked_for() -> None:
    call = Manual()
    call.hear(500)
    call.hear(3000, 0)
    assert call.events == []
    call.commit("What time is it?")
    spoken(call)
    assert call.kinds() == [SpeechEndSeen, CallerTranscript]
    call.dialogue.respond()
    assert call.kinds()[2:] == [ReplyText, AgentAudio]


def test_only_what_was_not_committed_or_dropped_is_recognised() -> None:
    call = Manual()
    call.hear(1000)
    call.commit("One.")
    call.hear(400)
    call.dialogue.drop_sound()
    call.hear(200)
    call.commit("Two.")
    assert call.asked.sizes == [16_000, 3_200]


def test_a_turn_without_words_is_answered_by_nothing_and_no_client_waits_for_ever() -> None:
    for is_asked_first in (True, False):
        call = Manual()
        call.hear(300)
        call.dialogue.commit()
        if is_asked_first:
            call.dialogue.respond()
        call.dialogue.recognised(call.asked.heard[-1], "")
        if not is_asked_first:
            call.dialogue.respond()
        assert call.kinds() == [SpeechEndSeen, ReplyComplete]


def test_an_answer_that_is_cancelled_is_remembered_as_far_as_it_was_heard() -> None:
    call = Manual()
    call.hear(500)
    call.commit("What time is it?")
    call.dialogue.respond()
    spoken(call)
    call.hear(500)
    call.dialogue.cancel()
    assert call.replies[0].is_discarded
    call.commit("And in Rome?")
    assert [message.text for message in call.replies[1].earlier] == [
        "What time is it?",
        "0.5 s of it",
    ]
