"""The tokenizer of the transformers library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from voicebench.engines.llm.chat_tokenizer import ChatTokenizer


class TransformersTokenizer(ChatTokenizer):
    """A tokenizer of transformers; ``eos_settings`` are the model's own ends of a turn."""

    def __init__(self, tokenizer: Any, *eos_settings: object) -> None:
        self._tokenizer = tokenizer
        super().__init__(
            str(tokenizer.name_or_path),
            tokenizer.get_added_vocab(),
            tokenizer.eos_token_id,
            *eos_settings,
            has_template=tokenizer.chat_template is not None,
        )

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids`` without special tokens, with all spaces."""
        text: str = self._tokenizer.decode(
            list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

    def _encode(self, text: str, *, special: bool) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=special)["input_ids"])

    def _render(self, conversation: list[dict[str, str]]) -> str:
        # Templates ignore settings they do not know; Qwen3's leaves the reasoning out.
        text: str = self._tokenizer.apply_chat_template(
            conversation, tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
        return text
