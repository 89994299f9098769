"""Turns in conversations: each is answered after what was said before it, and is numbered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from voicebench.audio.pcm import AudibleRule
from voicebench.audio.synthetic_voice import synthetic_voice
from voicebench.errors import UsageError
from voicebench.events import (
    AudioChunk,
    Emit,
    TextChunk,
    Token,
    TurnFailed,
    TurnFinished,
    TurnStarted,
    Usage,
)
from voicebench.measuring.conversation_history import ConversationHistory
from voicebench.measuring.plan import (
    PlannedTurn,
    plan_idle_turns,
    plan_run,
    prompts_for,
    take_turns,
)
from voicebench.measuring.session import check_conversations
from voicebench.settings import load_settings
from voicebench.targets import Target
from voicebench.text.chat_template import PastMessage
from voicebench.text.prompts import PromptSet
from voicebench.turn.timeline import Timeline

RATE = 16_000
Heard = tuple[str | None, list[str], str]
"""The scope, what was said before, and the prompt."""


@dataclass
class Listener:
    """A target that notes what it was told, and answers each prompt with a reply of its own."""

    replies: dict[str, str] = field(default_factory=dict)
    told: list[Heard] = field(default_factory=list)
    earlier: Sequence[PastMessage] = ()
    scope: str | None = None

    def in_conversation(self, earlier: Sequence[PastMessage], scope: str) -> Target:
        return Listener(self.replies, self.told, earlier, scope)

    def run(self, prompt: str, emit: Emit) -> None:
        said = [f"{message.role[0]}:{message.text}" for message in self.earlier]
        self.told.append((self.scope, said, prompt))
        emit(TurnStarted(prompt))
        reply = self.replies.get(prompt, f"re {prompt}")
        if reply:
            emit(Token(f" {reply} "))
            emit(Usage(1, prompt_tokens=10 * len(said) + 3, cached_tokens=10 * len(said)))
            emit(TextChunk(reply))
        if prompt == "broken":
            emit(TurnFailed("the voice fell ill", "engine", "tts"))
            return
        emit(AudioChunk(synthetic_voice(RATE // 2, RATE).astype(np.float32), RATE))
        emit(TurnFinished())

    def describe(self) -> dict[str, object]:
        return {}

    def close(self) -> None: ...


def planned(prompts: PromptSet | None = None, /, **of_the_run: object) -> list[PlannedTurn]:
    named = {f"run.{name}": value for name, value in of_the_run.items()}
    settings = load_settings(None, named).settings
    return plan_run(settings, prompts or PromptSet(("a", "b", "c", "d", "e"), ("w",)))


def taken(turns: Sequence[PlannedTurn], listener: Listener, name: str = "run") -> list[Timeline]:
    found = take_turns(listener, turns, rule=AudibleRule(), history=ConversationHistory(name))
    return [recording.timeline for recording in found]


TWO_EACH: dict[str, object] = {"turns_per_conversation": 2, "runs": 5, "warmup": 1}


def test_a_turn_is_answered_after_those_before_it() -> None:
    listener = Listener()
    turns = taken(planned(**TWO_EACH), listener)
    assert listener.told == [
        (None, [], "w"),
        (None, [], "w"),
        ("run 1", [], "a"),
        ("run 1", ["u:a", "a:re a"], "b"),
        ("run 2", [], "c"),
        ("run 2", ["u:c", "a:re c"], "d"),
        ("run 3", [], "e"),
    ]
    places = [(turn.phase, turn.conversation, turn.conversation_turn) for turn in turns]
    assert places == [
        ("cold", None, None),
        ("warmup", None, None),
        ("measured", 1, 1),
        ("measured", 1, 2),
        ("measured", 2, 1),
        ("measured", 2, 2),
        ("measured", 3, 1),
    ]
    assert [turn.cached_tokens for turn in turns] == [0, 0, 0, 20, 0, 20, 0]
    assert [turn.prompt_tokens for turn in turns] == [3, 3, 3, 23, 3, 23, 3]


def test_turns_that_are_taken_one_by_one_share_their_history() -> None:
    listener, history = Listener(), ConversationHistory("run")
    for turn in planned(**TWO_EACH):
        list(take_turns(listener, [turn], rule=AudibleRule(), history=history))
    assert [said for _, said, _ in listener.told if said] == [["u:a", "a:re a"], ["u:c", "a:re c"]]


def test_turns_that_stand_alone_are_told_nothing() -> None:
    listener = Listener()
    turns = taken(planned(runs=3), listener)
    assert {(scope, tuple(said)) for scope, said, _ in listener.told} == {(None, ())}
    assert {turn.conversation for turn in turns} == {None}


def test_idle_turns_stand_alone_after_a_conversation() -> None:
    listener = Listener()
    taken([*planned(**TWO_EACH), *plan_idle_turns(["late"], first=8)], listener)
    assert listener.told[-1] == (None, [], "late")


def test_a_turn_without_a_reply_is_left_out_and_a_broken_one_is_kept_as_heard() -> None:
    listener = Listener(replies={"silent": "", "broken": "I was"})
    prompts = PromptSet(("a", "silent", "broken", "d"), ("w",))
    turns = taken(planned(prompts, turns_per_conversation=4, runs=4, warmup=0), listener)
    assert listener.told[-1] == ("run 1", ["u:a", "a:re a", "u:broken", "a:I was"], "d")
    assert [turn.failed for turn in turns[1:]] == [False, False, True, False]
    assert [turn.conversation_turn for turn in turns[1:]] == [1, 2, 3, 4]


def test_conversations_of_a_file_are_taken_as_they_are() -> None:
    prompts = PromptSet(("a", "b", "c"), ("w",), (("a", "b"), ("c",)))
    turns = planned(prompts, runs=6, warmup=0)
    places = [(turn.prompt, turn.conversation, turn.conversation_turn) for turn in turns[1:]]
    assert places == [
        ("a", 1, 1),
        ("b", 1, 2),
        ("c", 2, 1),
        ("a", 3, 1),
        ("b", 3, 2),
        ("c", 4, 1),
    ]


def test_a_file_with_conversations_cannot_be_grouped_anew(tmp_path: Path) -> None:
    file = tmp_path / "talks.txt"
    file.write_text("Hello\nHow are you?\n---\nBye\n", encoding="utf-8")
    named = {"run.prompts": str(file), "run.turns_per_conversation": 3}
    settings = load_settings(None, named).settings
    with pytest.raises(UsageError, match="has conversations of its own"):
        prompts_for(settings, "en")


@pytest.mark.parametrize("target", ["voice", "realtime"])
def test_a_target_that_cannot_be_told_what_was_said_is_refused(target: str) -> None:
    named: dict[str, object] = {"run.target": target, "server.url": "ws://127.0.0.1:9/v1/x"}
    alone = load_settings(None, named).settings
    check_conversations(alone, PromptSet(("a",), ("w",)))
    with pytest.raises(UsageError, match=f"target '{target}' cannot have conversations"):
        check_conversations(alone, PromptSet(("a",), ("w",), (("a",),)))
    many = load_settings(None, named | {"run.turns_per_conversation": 2}).settings
    with pytest.raises(UsageError, match="cannot have conversations"):
        check_conversations(many, PromptSet(("a",), ("w",)))
