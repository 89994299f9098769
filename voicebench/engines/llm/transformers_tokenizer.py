"""The transformers library's tokenizer as what lays out a turn and decodes a reply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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


class TransformersTokenizer:
    """A tokenizer of transformers, with the turn ends that the model's own settings name."""

    def __init__(self, tokenizer: Any, *eos_settings: object) -> None:
        self._tokenizer = tokenizer
        vocabulary = tokenizer.get_added_vocab()
        named = {vocabulary[token] for token in TURN_END_TOKENS if token in vocabulary}
        self._turn_ends = frozenset(named | eos_ids(tokenizer.eos_token_id, *eos_settings))
        opens, closes = (vocabulary.get(mark) for mark in REASONING_MARKS)
        self._reasoning_marks = None if opens is None or closes is None else (opens, closes)

    @property
    def turn_ends(self) -> frozenset[int]:
        """The ids that end the model's turn."""
        return self._turn_ends

    @property
    def reasoning_marks(self) -> tuple[int, int] | None:
        """The ids that open and close a model's reasoning, where it has such ids."""
        return self._reasoning_marks

    @property
    def ends_at_line(self) -> bool:
        """Whether a reply is one line, because the model has no chat template."""
        return self._tokenizer.chat_template is None

    def encode_turn(
        self, system_prompt: str, prompt: str, earlier: Sequence[PastMessage] = ()
    ) -> list[int]:
        """Return the ids after which the model's answer to ``prompt`` begins."""
        if self._tokenizer.chat_template is None:
            return list(self._tokenizer(plain_turn(system_prompt, prompt, earlier))["input_ids"])
        text = self._lay_out(system_prompt, prompt, earlier)
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def encode_text(self, text: str) -> list[int]:
        """Return the ids of plain text, nothing added."""
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids`` without special tokens, spaces untouched."""
        text: str = self._tokenizer.decode(
            list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

    def _lay_out(self, system_prompt: str, prompt: str, earlier: Sequence[PastMessage]) -> str:
        from jinja2 import TemplateError

        try:
            return self._render(messages(system_prompt, prompt, earlier))
        except TemplateError:  # as templates say that they know no system role
            pass
        try:
            return self._render(messages_without_system(system_prompt, prompt, earlier))
        except TemplateError as error:
            raise ModelError(
                f"the model's chat template cannot be rendered ({error})", "fetch the model again"
            ) from error

    def _render(self, conversation: list[dict[str, str]]) -> str:
        # Templates ignore settings they do not know; Qwen3's leaves the reasoning out.
        text: str = self._tokenizer.apply_chat_template(
            conversation, tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
        return text
