"""What stands behind the server, and how a request's own wishes reach the model."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

import pytest
from scripted_engines import Scripted, sound, words
from served_somewhere import engines

from voicebench.engines.llm.common_prefix import common_length
from voicebench.engines.llm.engine_protocols import ignore
from voicebench.engines.llm.generation import InProcessLanguageModel, ReplyRules
from voicebench.errors import TooLong
from voicebench.events import Event, Token, TurnFailed, TurnFinished, TurnStarted
from voicebench.pipeline.scheduling import FreeForAll, TurnTaking
from voicebench.server.served import AnswerRequest, ServedCascade, ServedScript, warm_up
from voicebench.text.chat_template import PastMessage


class Letters:
    """An engine and a tokenizer whose ids are letters; it says the prompt again, for ever."""

    context_tokens = 60
    turn_ends: frozenset[int] = frozenset()
    reasoning_marks = None
    ends_at_line = False

    def __init__(self) -> None:
        self.told: list[str] = []
        self.ahead: list[str] = []

    def encode_turn(
        self, system_prompt: str, prompt: str, earlier: Sequence[PastMessage] = ()
    ) -> list[int]:
        self.told.append(system_prompt)
        said = "".join(f"{it.role[0]}:{it.text}|" for it in earlier)
        return [ord(letter) for letter in system_prompt + said + prompt]

    def encode_beginning(self, system_prompt: str, earlier: Sequence[PastMessage]) -> list[int]:
        both = [self.encode_turn(system_prompt, word, earlier) for word in ("a", "7")]
        return both[0][: common_length(*both)]

    def encode_text(self, text: str) -> list[int]:
        return [ord(letter) for letter in text]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(map(chr, ids))

    def generate(
        self,
        prompt_ids: Sequence[int],
        scope: str | None = None,
        found: Callable[[int], None] = ignore,
    ) -> Generator[int]:
        while True:
            yield from prompt_ids

    def read_ahead(self, ids: Sequence[int], scope: str) -> None:
        self.ahead.append(self.decode(ids))

    def describe(self) -> dict[str, object]:
        return {"device": "cpu"}

    def close(self) -> None: ...


@pytest.fixture
def letters() -> Letters:
    return Letters()


@pytest.fixture
def served(letters: Letters) -> ServedCascade:
    rules = ReplyRules(max_tokens=9, system_prompt="Hi. ")
    model = InProcessLanguageModel("/secret/place/model.gguf", letters, letters, rules)
    return engines(model, Scripted(*[[sound()]] * 9))


def written(served: ServedCascade, asked: AnswerRequest) -> str:
    events: list[Event] = []
    served.write(asked, events.append, served.new_schedule())
    assert isinstance(events[0], TurnStarted)
    assert isinstance(events[-1], TurnFinished)
    return "".join(event.text for event in events if isinstance(event, Token))


def test_a_request_may_tell_the_system_something_else(
    served: ServedCascade, letters: Letters
) -> None:
    written(served, AnswerRequest("hello"))
    written(served, AnswerRequest("hello", system_prompt="Be brief."))
    written(served, AnswerRequest("hello"))
    assert letters.told == ["Hi. ", "Be brief.", "Hi. "]


def test_a_request_may_lower_the_limit_and_never_raise_it(served: ServedCascade) -> None:
    assert len(written(served, AnswerRequest("hello"))) == 9
    assert len(written(served, AnswerRequest("hello", max_tokens=4))) == 4
    assert len(written(served, AnswerRequest("hello", max_tokens=4000))) == 9
    assert served.token_limit(AnswerRequest("hello", max_tokens=4)) == 4
    assert served.token_limit(AnswerRequest("hello", max_tokens=4000)) == 9


def test_the_prompts_tokens_are_the_models_own(served: ServedCascade) -> None:
    assert served.prompt_tokens(AnswerRequest("hello")) == len("Hi. hello")
    assert served.prompt_tokens(AnswerRequest("hello", system_prompt="")) == len("hello")


def test_what_was_said_before_goes_before_the_prompt(served: ServedCascade) -> None:
    earlier = (PastMessage("user", "a"), PastMessage("assistant", "b"))
    asked = AnswerRequest("c", system_prompt="", earlier=earlier)
    assert written(served, asked) == "u:a|a:b|c"
    assert served.prompt_tokens(asked) == len("u:a|a:b|c")
    assert ServedScript("sim:").prompt_tokens(asked) == 3


def test_what_does_not_fit_the_context_is_refused_and_not_the_models_fault(
    served: ServedCascade,
) -> None:
    events: list[Event] = []
    served.write(AnswerRequest("x" * 100), events.append, served.new_schedule())
    failed = events[-1]
    assert isinstance(failed, TurnFailed)
    assert (failed.fault, failed.stage) == (TooLong.fault, "llm")
    assert failed.fault == "refused"


def test_a_models_folder_is_nobodys_business(served: ServedCascade) -> None:
    assert served.chat_model == "model.gguf"


def test_turns_of_one_device_share_it_and_a_script_needs_none(served: ServedCascade) -> None:
    assert isinstance(served.new_schedule(), TurnTaking)
    assert type(ServedScript("sim:").new_schedule()) is FreeForAll


def test_warming_up_takes_turns_for_nobody() -> None:
    llm, tts = Scripted(words("Hello."), words("Hello.")), Scripted([sound()], [sound()])
    said: list[str] = []
    warm_up(engines(llm, tts), said.append)
    assert len(llm.heard) == 2
    assert len(set(llm.heard)) == 2
    assert said == ["warming up"]
    warm_up(ServedScript("sim:ttft=60s"), said.append)  # a script has nothing to warm
    assert len(said) == 1


def test_the_next_turn_of_a_conversation_is_prepared_after_one_with_a_history(
    served: ServedCascade, letters: Letters
) -> None:
    written(served, AnswerRequest("Hello"))
    assert letters.ahead == []
    said = (PastMessage("user", "Hello"), PastMessage("assistant", "Yes"))
    reply = written(served, AnswerRequest("Well?", earlier=said))
    assert letters.ahead == [f"Hi. u:Hello|a:Yes|u:Well?|a:{reply}|"]
