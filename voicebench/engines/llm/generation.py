"""The reply of a language model in this process: one loop for every engine.

An engine samples ids, a tokenizer converts between text and ids, and the rules say when a reply
ends. This module joins them: it decides which ids are visible text, and emits each piece of text as
soon as it is complete.

Not shown are turn-end and other special tokens, reasoning between ``<think>`` and ``</think>`` if
the tokenizer has ids for these marks, and text that is marked as reasoning
(`voicebench.text.visible`, which the clients of remote models use too).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from voicebench.engines.llm.detokenizer import Detokenizer
from voicebench.engines.llm.ending import SentenceEnding
from voicebench.engines.llm.engine_protocols import ChatTokenizing, Generating, SharesPasses
from voicebench.engines.llm.fast.joint_passes import JointPasses
from voicebench.errors import EngineError, TooLong
from voicebench.events import LlmEvent, RemarkKind, Token, Usage
from voicebench.text.chat_template import PastMessage
from voicebench.text.visible import Remarks, VisibleText, visible_start

SPOKEN_SYSTEM_PROMPT = "You are a friendly AI assistant. Give a short answer in plain words."
"""Asks for short, whole, spoken sentences. The embedded model follows it best of twenty:
no lists, no markdown, and fourteen words on average if replies may end after eight."""


@dataclass(frozen=True, slots=True)
class ReplyRules:
    """The limits of a reply, and how its ids are sampled.

    ``max_tokens`` may cut a sentence. After ``end_after_words`` words the reply ends with its
    sentence; with None the model ends it. ``temperature`` 0 takes the likeliest id; above 0 the
    same seed and prompt give the same reply.
    """

    max_tokens: int = 128
    temperature: float = 0.0
    seed: int = 0
    system_prompt: str = SPOKEN_SYSTEM_PROMPT
    end_after_words: int | None = None


class InProcessLanguageModel:
    """A language model in this process: an engine, a tokenizer and the rules of a reply."""

    def __init__(
        self,
        model: str,
        engine: Generating,
        tokenizer: ChatTokenizing,
        rules: ReplyRules,
        *,
        earlier: Sequence[PastMessage] = (),
        scope: str | None = None,
    ) -> None:
        self._model = model
        self._earlier = earlier
        self._scope = scope
        self._engine = engine
        self._tokenizer = tokenizer
        self._rules = rules
        self._answered: tuple[str, str] | None = None
        """The last prompt and its reply so far."""

    @property
    def engine(self) -> Generating:
        """What samples the ids."""
        return self._engine

    @property
    def step_sharing(self) -> JointPasses | None:
        """The engine's side of steps that several turns share; None if it shares none."""
        return self._engine.step_sharing if isinstance(self._engine, SharesPasses) else None

    def reply(self, prompt: str) -> Iterator[LlmEvent | None]:
        """Return the reply to ``prompt``: each token as soon as it is complete, then `Usage`.

        None comes after a pass without text: other turns may go first there. The prompt's ids are
        found now, and nothing is computed before the first item is asked for. Closing the iterator
        cancels the reply. Raises `TooLong` for a prompt that does not fit into the model's context.
        """
        prompt_ids = self._prompt_ids(prompt)
        room = self._engine.context_tokens - len(prompt_ids)
        if room < 1:
            raise TooLong(
                f"the prompt has {len(prompt_ids)} tokens with the messages before it, and "
                f"{self._model} has a context of {self._engine.context_tokens}",
                "shorten the prompt, or take a model with a longer context",
            )
        return self._events(prompt, prompt_ids, min(room, self._rules.max_tokens))

    def _events(
        self, prompt: str, prompt_ids: Sequence[int], limit: int
    ) -> Generator[LlmEvent | None]:
        """Yield the reply to ``prompt``, of at most ``limit`` ids."""
        text = VisibleIds(self._tokenizer, prompt_ids)
        ending = SentenceEnding(self._rules.end_after_words)
        remarks = Remarks()
        sampled = 0
        held_back = ""
        found: list[int] = []
        said: list[str] = []
        with closing(self._engine.generate(prompt_ids, self._scope, found.append)) as ids:
            for token_id in ids:
                if token_id is None:
                    yield None
                    continue
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
                    said.append(piece)
                    yield Token(piece)
                else:
                    yield None
                if text.line_is_over or sampled >= limit:
                    held_back = text.finish()
                    break
        if text.is_thinking:
            raise EngineError(
                "the reply ended in the middle of its reasoning",
                "raise llm.max_tokens, or take a model without reasoning",
            )
        if held_back:
            said.append(held_back)
            yield Token(held_back)
        self._answered = prompt, "".join(said).strip()
        yield replace(
            text.usage(sampled),
            prompt_tokens=len(prompt_ids),
            cached_tokens=found[0] if found else None,
        )

    def with_rules(
        self, *, system_prompt: str | None = None, max_tokens: int | None = None
    ) -> InProcessLanguageModel:
        """Return the same model with other rules; None keeps a rule.

        ``max_tokens`` can only lower the limit. Both share the engine: close only one of them.
        """
        rules = self._rules
        if system_prompt is not None:
            rules = replace(rules, system_prompt=system_prompt)
        if max_tokens is not None:
            rules = replace(rules, max_tokens=min(max_tokens, rules.max_tokens))
        return InProcessLanguageModel(
            self._model,
            self._engine,
            self._tokenizer,
            rules,
            earlier=self._earlier,
            scope=self._scope,
        )

    def in_conversation(
        self, earlier: Sequence[PastMessage], scope: str | None = None
    ) -> InProcessLanguageModel:
        """Return the same model after the messages ``earlier``.

        User and model in turn, the user first. Replies of one ``scope`` may use what the others
        have computed; None computes all messages anew. Both share the engine: close only one.
        """
        return InProcessLanguageModel(
            self._model,
            self._engine,
            self._tokenizer,
            self._rules,
            earlier=earlier,
            scope=scope,
        )

    def prepare_next(self) -> None:
        """Read what the next prompt of this conversation will begin with, up to the user's words.

        That is the end of the last reply, and the marks of the chat template around it. Only a
        conversation that has a ``scope`` is prepared, after a reply that was complete.
        """
        answered, self._answered = self._answered, None
        if self._scope is None or answered is None or not all(answered):
            return
        prompt, reply = answered
        earlier = (*self._earlier, PastMessage("user", prompt), PastMessage("assistant", reply))
        begins = self._tokenizer.encode_beginning(self._rules.system_prompt, earlier)
        self._engine.read_ahead(begins, self._scope)

    def prompt_tokens(self, prompt: str) -> int:
        """Return how many tokens ``prompt`` has, with all messages before it."""
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
    """Turns sampled ids into visible text, piece by piece."""

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
        """The kinds of text that were hidden so far and deserve a remark.

        White space before the first word is not one: it belongs to the first visible token.
        """
        reasoning: tuple[RemarkKind, ...] = ("reasoning",) if self._had_thought else ()
        return (*reasoning, *(kind for kind in self._text.withheld if kind != "blank"))

    @property
    def is_thinking(self) -> bool:
        """Whether the model is in the middle of reasoning."""
        return self._reasoning or self._text.is_thinking

    def push(self, token_id: int) -> str:
        """Return the text that becomes visible with ``token_id``."""
        is_mark = self._marks is not None and token_id in self._marks
        if is_mark:
            assert self._marks is not None
            self._reasoning = token_id == self._marks[0]
        if is_mark or self._reasoning:
            self._hidden_ids += 1
            # A model with reasoning switched off writes only line ends between the marks.
            self._had_thought |= not is_mark and bool(self._decode((token_id,)).strip())
            return ""
        return self._shown(self._text.push(self._detokenizer.push(token_id)))

    def finish(self) -> str:
        """Return the rest of the text, after the last id."""
        if self.line_is_over:
            return ""
        return self._shown(self._text.push(self._detokenizer.finish()) + self._text.finish())

    def usage(self, sampled: int) -> Usage:
        """Return how many of the ``sampled`` ids are visible and how many are hidden."""
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
    """Return whether the prompt ends inside reasoning that its template has opened."""
    last = next(
        (token_id for token_id in reversed(prompt_ids) if token_id in (opens, closes)), None
    )
    return last == opens
