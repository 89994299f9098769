from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

import pytest
from small_models import byte_level_tokenizer

from voicebench.engines.llm.common_prefix import common_length
from voicebench.engines.llm.engine_protocols import ignore
from voicebench.engines.llm.generation import InProcessLanguageModel, ReplyRules
from voicebench.errors import EngineError
from voicebench.events import LlmEvent, Remark, Token, Usage
from voicebench.text.chat_template import PastMessage

TOKENIZER = byte_level_tokenizer()
END = int(TOKENIZER.token_to_id("<|im_end|>") or 0)
OPENS, CLOSES = 1000, 1001


class ScriptedEngine:
    """Samples a prepared list of ids, and notes how many were taken and whether it was closed."""

    def __init__(self, ids: Sequence[int], context_tokens: int = 1000) -> None:
        self.ids = ids
        self.context_tokens = context_tokens
        self.sampled = 0
        self.closed = False

    def generate(
        self,
        prompt_ids: Sequence[int],
        scope: str | None = None,
        found: Callable[[int], None] = ignore,
    ) -> Generator[int]:
        try:
            for token_id in self.ids:
                self.sampled += 1
                yield token_id
        finally:
            self.closed = True

    def read_ahead(self, ids: Sequence[int], scope: str) -> None: ...

    def describe(self) -> dict[str, object]:
        return {"engine": "scripted"}

    def close(self) -> None:
        pass


class KeepingEngine(ScriptedEngine):
    """An engine that knows two ids of every prompt."""

    def __init__(self, ids: Sequence[int]) -> None:
        super().__init__(ids)
        self.scopes: list[str | None] = []
        self.ahead: list[tuple[list[int], str]] = []

    def generate(
        self,
        prompt_ids: Sequence[int],
        scope: str | None = None,
        found: Callable[[int], None] = ignore,
    ) -> Generator[int]:
        self.scopes.append(scope)
        found(2)
        return super().generate(prompt_ids)

    def read_ahead(self, ids: Sequence[int], scope: str) -> None:
        self.ahead.append((list(ids), scope))


class ScriptedTokenizer:
    turn_ends = frozenset({END})

    def __init__(
        self,
        *,
        reasoning_marks: tuple[int, int] | None = None,
        ends_at_line: bool = False,
        prompt_ids: tuple[int, int, int] = (1, 2, 3),
    ) -> None:
        self.reasoning_marks = reasoning_marks
        self.ends_at_line = ends_at_line
        self.prompt_ids = list(prompt_ids)

    def encode_turn(
        self, system_prompt: str, prompt: str, earlier: Sequence[PastMessage] = ()
    ) -> list[int]:
        return self.prompt_ids

    def encode_beginning(self, system_prompt: str, earlier: Sequence[PastMessage]) -> list[int]:
        both = [self.encode_turn(system_prompt, word, earlier) for word in ("a", "7")]
        return both[0][: common_length(*both)]

    def encode_text(self, text: str) -> list[int]:
        return ids_of(text)

    def decode(self, ids: Sequence[int]) -> str:
        return TOKENIZER.decode(list(ids))


def ids_of(*texts: str) -> list[int]:
    return [token_id for text in texts for token_id in TOKENIZER.encode(text).ids]


def answer(
    ids: Sequence[int],
    *,
    rules: ReplyRules | None = None,
    engine: ScriptedEngine | None = None,
    **tokenizer: Any,
) -> list[LlmEvent]:
    model = InProcessLanguageModel(
        "scripted",
        engine or ScriptedEngine(ids),
        ScriptedTokenizer(**tokenizer),
        rules or ReplyRules(),
    )
    return [event for event in model.reply("hello") if event is not None]


def test_an_engine_is_told_whose_keys_and_values_a_reply_may_use() -> None:
    engine = KeepingEngine([1, END])
    model = InProcessLanguageModel("scripted", engine, ScriptedTokenizer(), ReplyRules())
    usages = [
        list(one.reply("hello"))[-1]
        for one in (
            model,
            model.in_conversation((), scope="talk"),
            model.in_conversation((), scope="talk").with_rules(max_tokens=9),
        )
    ]
    assert engine.scopes == [None, "talk", "talk"]
    assert usages == [Usage(1, prompt_tokens=3, cached_tokens=2)] * 3


class Letters(ScriptedTokenizer):
    """A tokenizer whose ids are letters, and whose template shows who says what."""

    def encode_turn(
        self, system_prompt: str, prompt: str, earlier: Sequence[PastMessage] = ()
    ) -> list[int]:
        said = (*earlier, PastMessage("user", prompt))
        return [ord(it) for it in "".join(f"<{one.role[0]}:{one.text}>" for one in said) + "<a:"]


def test_what_opens_the_next_message_is_read_ahead() -> None:
    engine = KeepingEngine([*ids_of("Yes."), END])
    model = InProcessLanguageModel("scripted", engine, Letters(), ReplyRules())
    talk = model.in_conversation([PastMessage("user", "A"), PastMessage("assistant", "B")], "talk")
    talk.prepare_next()
    assert engine.ahead == []
    list(talk.reply("C"))
    talk.prepare_next()
    talk.prepare_next()
    assert engine.ahead == [([ord(it) for it in "<u:A><a:B><u:C><a:Yes.><u:"], "talk")]


def test_nothing_is_read_ahead_after_half_a_reply_or_for_a_turn_that_stands_alone() -> None:
    engine = KeepingEngine([*ids_of("Yes."), END])
    model = InProcessLanguageModel("scripted", engine, Letters(), ReplyRules())
    list(model.reply("C"))
    model.prepare_next()
    talk = model.in_conversation((), "talk")
    half = talk.reply("C")
    next(half)
    half.close()  # type: ignore[attr-defined]
    talk.prepare_next()
    assert engine.ahead == []


def counted(tokens: int, hidden: int | None = 0) -> Usage:
    """Return the counts of a reply to `answer`'s prompt by an engine that says nothing of it."""
    read = len(ScriptedTokenizer().encode_turn("", "hello"))
    return Usage(tokens, hidden, prompt_tokens=read)


def text_of(events: list[LlmEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Token))


def test_a_reply_is_its_tokens_then_their_number() -> None:
    ids = ids_of("Hello world.")
    events = answer([*ids, END, *ids])
    assert text_of(events) == "Hello world."
    assert all(isinstance(event, Token) and event.text for event in events[:-1])
    assert events[-1] == counted(len(ids))


def test_a_token_is_yielded_before_the_next_one_is_sampled() -> None:
    engine = ScriptedEngine(ids_of("a b c d"))
    model = InProcessLanguageModel("scripted", engine, ScriptedTokenizer(), ReplyRules())
    reply = model.reply("hello")
    next(reply)
    assert engine.sampled == 1
    next(reply)
    assert engine.sampled == 2


def test_closing_the_reply_closes_the_engine() -> None:
    engine = ScriptedEngine(ids_of("a b c d"))
    model = InProcessLanguageModel("scripted", engine, ScriptedTokenizer(), ReplyRules())
    reply = model.reply("hello")
    next(reply)
    assert not engine.closed
    assert isinstance(reply, Generator)
    reply.close()
    assert engine.closed


def test_the_hard_limit_ends_a_reply_and_no_further_id_is_sampled() -> None:
    engine = ScriptedEngine(ids_of("a b c d e f g"))
    events = answer([], engine=engine, rules=ReplyRules(max_tokens=3))
    assert events[-1] == counted(3)
    assert engine.sampled == 3


def test_the_soft_limit_ends_a_reply_at_a_sentence_and_not_inside_one() -> None:
    ids = ids_of("It is 3.5 now. It is late. More. And more.")
    assert text_of(answer(ids, rules=ReplyRules(end_after_words=3))) == "It is 3.5 now."
    assert text_of(answer(ids, rules=ReplyRules(end_after_words=5))) == "It is 3.5 now. It is late."


def test_the_hard_limit_holds_where_no_sentence_ends() -> None:
    ids = ids_of("a " * 50)
    assert answer(ids, rules=ReplyRules(max_tokens=20, end_after_words=3))[-1] == counted(20)


def test_leading_white_space_comes_with_the_first_visible_text() -> None:
    ids = ids_of("\n\n", "Hello")
    events = answer([*ids, END])
    assert isinstance(events[0], Token)
    assert events[0].text.startswith("\n\nH")
    assert text_of(events) == "\n\nHello"


def test_white_space_alone_is_no_reply() -> None:
    ids = ids_of("\n \n")
    assert answer([*ids, END]) == [counted(len(ids))]


def test_reasoning_is_sampled_but_not_shown() -> None:
    ids = [OPENS, *ids_of("hm, hm"), CLOSES, *ids_of("\n\nYes.")]
    events = answer([*ids, END], reasoning_marks=(OPENS, CLOSES))
    assert text_of(events) == "\n\nYes."
    assert events[0] == Remark("reasoning")
    assert events[-1] == counted(len(ids_of("\n\nYes.")), hidden=len(ids_of("hm, hm")) + 2)


@pytest.mark.parametrize(
    ("ids", "marks"),
    [
        ([OPENS, *ids_of("hm, hm"), END], (OPENS, CLOSES)),
        ([*ids_of("So. "), OPENS, *ids_of("hm, hm"), END], (OPENS, CLOSES)),
        ([*ids_of("<think>hm, hm"), END], None),
        ([*ids_of("<think>hm, hm and so on and on")], None),
    ],
)
def test_a_reply_that_ends_in_the_middle_of_a_thought_is_a_failure(
    ids: Sequence[int], marks: tuple[int, int] | None
) -> None:
    with pytest.raises(EngineError, match="in the middle of its reasoning"):
        answer(ids, reasoning_marks=marks, rules=ReplyRules(max_tokens=8))


def test_a_thought_in_plain_text_is_sampled_but_not_shown() -> None:
    ids = ids_of("<think>hm</think>", "Yes.")
    events = answer([*ids, END])
    assert text_of(events) == "Yes."
    assert events[0] == Remark("reasoning")
    assert events[-1] == counted(len(ids), hidden=None)


def test_a_template_that_opens_the_reasoning_is_followed() -> None:
    ids = [*ids_of("hm"), CLOSES, *ids_of("Yes.")]
    marks = (OPENS, CLOSES)
    events = answer([*ids, END], reasoning_marks=marks, prompt_ids=[5, OPENS])
    assert text_of(events) == "Yes."
    events = answer([*ids, END], reasoning_marks=marks, prompt_ids=[5, OPENS, CLOSES])
    assert text_of(events) == "hmYes."


def test_a_model_without_turns_answers_one_line() -> None:
    ids = ids_of("\n Paris.\nUser: and then?")
    assert text_of(answer(ids, ends_at_line=True)) == "\n Paris."


def test_an_unfinished_character_is_shown_when_the_reply_ends() -> None:
    part_of_an_emoji = TOKENIZER.encode("🦄").ids[:2]
    events = answer([*ids_of("so "), *part_of_an_emoji, END])
    assert text_of(events) == TOKENIZER.decode([*ids_of("so "), *part_of_an_emoji])


def test_a_prompt_that_leaves_no_room_for_a_reply_is_refused_in_one_sentence() -> None:
    engine = ScriptedEngine(ids_of("a b"), context_tokens=3)
    with pytest.raises(EngineError, match=r"has 3 tokens .* context of 3; shorten the prompt"):
        answer([], engine=engine)


def test_a_reply_ends_where_the_context_ends() -> None:
    engine = ScriptedEngine(ids_of("a b c d e"), context_tokens=5)
    assert answer([], engine=engine)[-1] == counted(2)


def test_a_description_names_model_engine_and_rules() -> None:
    model = InProcessLanguageModel(
        "scripted", ScriptedEngine([]), ScriptedTokenizer(), ReplyRules(max_tokens=7)
    )
    described = model.describe()
    assert described["model"] == "scripted"
    assert described["engine"] == "scripted"
    assert described["max_tokens"] == 7
