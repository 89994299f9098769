"""How a language model in this process answers: one loop for every engine.

An engine samples ids, a tokenizer turns words into ids and back, and the rules say when a reply
ends. What lies between is here, once: which ids are text, when text is visible, what is shown the
moment it is in hand and what is held back.

What is not shown: turn-end and other special tokens, the reasoning between ``<think>`` and
``</think>`` where the tokenizer has ids of their own for these marks, and what the text itself
marks as reasoning (`voicebench.text.visible`, which the clients of remote models use too).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Protocol

from voicebench.engines.llm.detokenizer import Detokenizer
from voicebench.engines.llm.ending import SentenceEnding
from voicebench.errors import EngineError, TooLong
from voicebench.events import LlmEvent, RemarkKind, Token, Usage
from voicebench.text.chat_template import PastMessage
from voicebench.text.visible import Remarks, VisibleText, visible_start

SPOKEN_SYSTEM_PROMPT = "You are a friendly AI assistant. Give a short answer in plain words."
"""Asks for short, whole, spoken sentences. Of some twenty wordings it is the one that the embedded
model follows best: no lists, no markdown, and fourteen words on average where replies may end after
eight."""


@dataclass(frozen=True, slots=True)
class ReplyRules:
    """What a reply may be: its limits, and how its ids are sampled.

    ``max_tokens`` is hard and may cut a sentence. ``end_after_words`` is soft: once the reply has
    so many words it ends with the sentence it is in; None leaves the end to the model.
    ``temperature`` 0 takes the likeliest id; above 0 the same seed and prompt give the same reply.
    """

    max_tokens: int = 128
    temperature: float = 0.0
    seed: int = 0
    system_prompt: str = SPOKEN_SYSTEM_PROMPT
    end_after_words: int | None = None


class Generating(Protocol):
    """What samples ids: a loaded model without its tokenizer."""

    @property
    def context_tokens(self) -> int:
        """How many ids the prompt and the reply may have together."""
        ...

    def generate(self, prompt_ids: Sequence[int]) -> Generator[int]:
        """Yield sampled ids, each once it is on the host, until closed or the context is full.

        Raises `EngineError` where the model breaks in the middle of a reply.
        """
        ...

    def describe(self) -> dict[str, object]:
        """Return what a reader of the results must know of the engine."""
        ...

    def close(self) -> None:
        """Release the model."""
        ...


class ChatTokenizing(Protocol):
    """What turns a conversation into ids, and ids into text."""

    @property
    def turn_ends(self) -> frozenset[int]:
        """The ids that end the model's turn."""
        ...

    @property
    def reasoning_marks(self) -> tuple[int, int] | None:
        """The ids that open and close a model's reasoning, where it has such ids."""
        ...

    @property
    def ends_at_line(self) -> bool:
        """Whether a reply is one line, because the model knows no turns (no chat template)."""
        ...

    def encode_turn(
        self, system_prompt: str, prompt: str, earlier: Sequence[PastMessage] = ()
    ) -> list[int]:
        """Return the ids after which the model's answer to ``prompt`` begins.

        ``earlier`` is what was said before it: user and model in turn, the user first.
        """
        ...

    def encode_text(self, text: str) -> list[int]:
        """Return the ids of plain text, nothing added."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids`` without special tokens, spaces untouched."""
        ...


class InProcessLanguageModel:
    """A language model in this process: an engine, a tokenizer and the rules of a reply."""

    def __init__(
        self,
        model: str,
        engine: Generating,
        tokenizer: ChatTokenizing,
        rules: ReplyRules,
        earlier: Sequence[PastMessage] = (),
    ) -> None:
        self._model = model
        self._earlier = earlier
        self._engine = engine
        self._tokenizer = tokenizer
        self._rules = rules

    def reply(self, prompt: str) -> Iterator[LlmEvent]:
        """Yield the reply to ``prompt``: its tokens, each the moment it is in hand, then `Usage`.

        Closing the iterator cancels the reply. Raises `TooLong` for a prompt that does not fit
        the model's context.
        """
        prompt_ids = self._prompt_ids(prompt)
        room = self._engine.context_tokens - len(prompt_ids)
        if room < 1:
            raise TooLong(
                f"the prompt takes {len(prompt_ids)} tokens with all that goes before it, and "
                f"{self._model} has a context of {self._engine.context_tokens}",
                "shorten the prompt, or take a model with a longer context",
            )
        limit = min(room, self._rules.max_tokens)
        text = VisibleIds(self._tokenizer, prompt_ids)
        ending = SentenceEnding(self._rules.end_after_words)
        remarks = Remarks()
        sampled = 0
        held_back = ""
        with closing(self._engine.generate(prompt_ids)) as ids:
            for token_id in ids:
                if token_id in self._tokenizer.turn_ends:
                    held_back = text.finish()
                    break
                piece = text.push(token_id)
                yield from remarks.of(text.withheld)
                if ending.ends_before(piece):
                    break
                sampled += 1
                if piece:
                    ending.push(piece)
                    yield Token(piece)
                if text.line_is_over or sampled >= limit:
                    held_back = text.finish()
                    break
        if text.is_thinking:
            raise EngineError(
                "the reply ended in the middle of its reasoning",
                "raise llm.max_tokens, or take a model without reasoning",
            )
        if held_back:
            yield Token(held_back)
        yield text.usage(sampled)

    def with_rules(
        self, *, system_prompt: str | None = None, max_tokens: int | None = None
    ) -> InProcessLanguageModel:
        """Return the same model under other rules; None leaves a rule as it is.

        ``max_tokens`` only ever lowers the limit. Both share the engine: close one of them.
        """
        rules = self._rules
        if system_prompt is not None:
            rules = replace(rules, system_prompt=system_prompt)
        if max_tokens is not None:
            rules = replace(rules, max_tokens=min(max_tokens, rules.max_tokens))
        return InProcessLanguageModel(
            self._model, self._engine, self._tokenizer, rules, self._earlier
        )

    def in_conversation(self, earlier: Sequence[PastMessage]) -> InProcessLanguageModel:
        """Return the same model in a conversation of which this much was said.

        User and model in turn, the user first. Both share the engine: close one of them.
        """
        return InProcessLanguageModel(
            self._model, self._engine, self._tokenizer, self._rules, earlier
        )

    def prompt_tokens(self, prompt: str) -> int:
        """Return how many tokens the model reads before it answers ``prompt``."""
        return len(self._prompt_ids(prompt))

    def describe(self) -> dict[str, object]:
        """Return the model, its engine, and the rules of its replies."""
        return {
            "model": self._model,
            **self._engine.describe(),
            "max_tokens": self._rules.max_tokens,
            "temperature": self._rules.temperature,
            "seed": self._rules.seed,
            "system_prompt": self._rules.system_prompt,
            "end_after_words": self._rules.end_after_words,
        }

    def close(self) -> None:
        """Release the model."""
        self._engine.close()

    def _prompt_ids(self, prompt: str) -> list[int]:
        return self._tokenizer.encode_turn(self._rules.system_prompt, prompt, self._earlier)


class VisibleIds:
    """The part of the sampled ids that is shown, piece by piece."""

    def __init__(self, tokenizer: ChatTokenizing, prompt_ids: Sequence[int]) -> None:
        self._decode = tokenizer.decode
        self._detokenizer = Detokenizer(tokenizer.decode)
        self._marks = tokenizer.reasoning_marks
        self._one_line = tokenizer.ends_at_line
        self._reasoning = self._marks is not None and _is_open(prompt_ids, *self._marks)
        self._text = VisibleText()
        self._hidden_ids = 0
        self._had_thought = False
        self._has_begun = False
        self.line_is_over = False

    @property
    def withheld(self) -> tuple[RemarkKind, ...]:
        """What was not shown so far and is worth a remark.

        White space before the first word is not: it is part of the token that it is shown with.
        """
        reasoning: tuple[RemarkKind, ...] = ("reasoning",) if self._had_thought else ()
        return (*reasoning, *(kind for kind in self._text.withheld if kind != "blank"))

    @property
    def is_thinking(self) -> bool:
        """Whether a thought is open."""
        return self._reasoning or self._text.is_thinking

    def push(self, token_id: int) -> str:
        """Return what becomes visible with ``token_id`` in hand."""
        is_mark = self._marks is not None and token_id in self._marks
        if is_mark:
            assert self._marks is not None
            self._reasoning = token_id == self._marks[0]
        if is_mark or self._reasoning:
            self._hidden_ids += 1
            # Between the marks may be nothing but line ends, from a model that was told not to.
            self._had_thought |= not is_mark and bool(self._decode((token_id,)).strip())
            return ""
        return self._shown(self._text.push(self._detokenizer.push(token_id)))

    def finish(self) -> str:
        """Return what was held back, now that nothing follows."""
        if self.line_is_over:
            return ""
        return self._shown(self._text.push(self._detokenizer.finish()) + self._text.finish())

    def usage(self, sampled: int) -> Usage:
        """Return the count of ``sampled`` ids: which of them a listener hears, and which not."""
        hidden = None if self._text.had_thought else self._hidden_ids
        return Usage(sampled - self._hidden_ids, hidden)

    def _shown(self, piece: str) -> str:
        begins = 0 if self._has_begun else visible_start(piece)
        self._has_begun |= bool(piece)
        if self._one_line and "\n" in piece[begins:]:
            self.line_is_over = True
            return piece[: piece.index("\n", begins)]
        return piece


def _is_open(prompt_ids: Sequence[int], opens: int, closes: int) -> bool:
    """Return whether the prompt's template leaves the model in the middle of its reasoning."""
    last = next(
        (token_id for token_id in reversed(prompt_ids) if token_id in (opens, closes)), None
    )
    return last == opens
