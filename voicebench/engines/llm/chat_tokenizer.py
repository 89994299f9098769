"""Base of the tokenizers of both engines: a conversation becomes ids."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence

from voicebench.engines.llm.common_prefix import common_length
from voicebench.errors import ModelError
from voicebench.text.chat_template import (
    REASONING_MARKS,
    TURN_END_TOKENS,
    PastMessage,
    eos_ids,
    messages,
    messages_without_system,
    plain_turn,
)

_EXAMPLES = ("a", "7")
"""Two prompts that have nothing in common."""
_MOST_BEGINNINGS = 16
"""The beginnings of as many conversations are remembered."""


class ChatTokenizer(ABC):
    """A tokenizer that lays out turns by the model's chat template.

    Implements `voicebench.engines.llm.engine_protocols.ChatTokenizing`.
    """

    def __init__(
        self, model: str, special_ids: Mapping[str, int], *eos_settings: object, has_template: bool
    ) -> None:
        """Find the ids that end a turn and those around reasoning.

        ``special_ids`` are the special tokens by their text, ``eos_settings`` the end-of-text
        settings of the model. ``model`` names it in errors.
        """
        self._model = model
        self._special = tuple(special_ids)
        self._beginnings: deque[tuple[str, list[int]]] = deque(maxlen=_MOST_BEGINNINGS)
        named = {special_ids[token] for token in TURN_END_TOKENS if token in special_ids}
        self.turn_ends = frozenset(named | eos_ids(*eos_settings))
        opens, closes = (special_ids.get(mark) for mark in REASONING_MARKS)
        self.reasoning_marks = None if opens is None or closes is None else (opens, closes)
        self.ends_at_line = not has_template

    def encode_turn(
        self, system_prompt: str, prompt: str, earlier: Sequence[PastMessage] = ()
    ) -> list[int]:
        """Return the ids after which the model's answer to ``prompt`` begins."""
        if self.ends_at_line:
            return self._encode(plain_turn(system_prompt, prompt, earlier), special=True)
        text = self._lay_out(system_prompt, prompt, earlier)
        known = [begun for begun in tuple(self._beginnings) if text.startswith(begun[0])]
        head, ids = max(known, key=lambda begun: len(begun[0]), default=("", []))
        return ids + self._encode(text[len(head) :], special=False)

    def encode_beginning(self, system_prompt: str, earlier: Sequence[PastMessage]) -> list[int]:
        """Return the ids that every prompt after the messages ``earlier`` begins with.

        They are remembered, so that the next turn encodes only its own words.
        """
        if self.ends_at_line:
            both = [self.encode_turn(system_prompt, word, earlier) for word in _EXAMPLES]
            return both[0][: common_length(*both)]
        texts = [self._lay_out(system_prompt, word, earlier) for word in _EXAMPLES]
        both = [self._encode(text, special=False) for text in texts]
        shared = texts[0][: common_length(*texts)]
        # Behind a special token a text is encoded as if it began there; both examples check that.
        ends = [shared.rfind(token) + len(token) for token in self._special if token in shared]
        head = shared[: max(ends, default=0)]
        ids = self._encode(head, special=False)
        if head and all(
            ids + self._encode(text[len(head) :], special=False) == whole
            for text, whole in zip(texts, both, strict=True)
        ):
            self._beginnings.append((head, ids))
        return both[0][: common_length(*both)]

    def encode_text(self, text: str) -> list[int]:
        """Return the ids of plain text, without special tokens."""
        return self._encode(text, special=False)

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids`` without special tokens, with all spaces."""

    @abstractmethod
    def _encode(self, text: str, *, special: bool) -> list[int]:
        """Return the ids of ``text``; ``special`` adds the tokens that every text begins with."""

    @abstractmethod
    def _render(self, conversation: list[dict[str, str]]) -> str:
        """Return the text that the chat template makes of a conversation."""

    def _lay_out(self, system_prompt: str, prompt: str, earlier: Sequence[PastMessage]) -> str:
        from jinja2 import TemplateError

        try:
            return self._render(messages(system_prompt, prompt, earlier))
        except TemplateError:  # templates without a system role raise this
            pass
        try:
            return self._render(messages_without_system(system_prompt, prompt, earlier))
        except TemplateError as error:
            raise ModelError(
                f"the chat template of {self._model} cannot be rendered ({error})",
                "fetch the model again",
            ) from error
