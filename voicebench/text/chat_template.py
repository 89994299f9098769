"""The text of a conversation for a language model: roles, ends of turns and reasoning marks.

A chat model has a template that lays out the turns. A model without a template only continues text,
so its turn is plain, and its answer is one line:

    {system prompt}

    User: {prompt}
    Assistant:
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

TURN_END_TOKENS = (
    "<|im_end|>",
    "<|endoftext|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|end|>",
    "<end_of_turn>",
    "</s>",
)
"""Special tokens with which known model families end a turn, whatever their configuration says:
ChatML (SmolLM, Qwen), Llama 3, Phi, Gemma, Llama 2 and Mistral."""

REASONING_MARKS = ("<think>", "</think>")


@dataclass(frozen=True, slots=True)
class PastMessage:
    """An earlier message of a conversation.

    The user begins, and the two alternate, because every template supports that.
    """

    role: Literal["user", "assistant"]
    text: str


def messages(
    system_prompt: str, prompt: str, earlier: Sequence[PastMessage] = ()
) -> list[dict[str, str]]:
    """Return the conversation that ends with the user's ``prompt``."""
    system = [{"role": "system", "content": system_prompt}] if system_prompt else []
    spoken = (*earlier, PastMessage("user", prompt))
    return system + [{"role": message.role, "content": message.text} for message in spoken]


def messages_without_system(
    system_prompt: str, prompt: str, earlier: Sequence[PastMessage] = ()
) -> list[dict[str, str]]:
    """Return the same for a template without a system role: the first message begins with it."""
    conversation = messages("", prompt, earlier)
    if system_prompt:
        conversation[0]["content"] = f"{system_prompt}\n\n{conversation[0]['content']}"
    return conversation


def plain_turn(system_prompt: str, prompt: str, earlier: Sequence[PastMessage] = ()) -> str:
    """Return the text that a model without a chat template continues with its answer."""
    opening = f"{system_prompt}\n\n" if system_prompt else ""
    past = "".join(f"{message.role.capitalize()}: {message.text}\n" for message in earlier)
    return f"{opening}{past}User: {prompt}\nAssistant:"


def eos_ids(*settings: object) -> set[int]:
    """Return the ids of ``eos_token_id`` settings; each is an id, a list of ids, or missing."""
    ids: set[int] = set()
    for setting in settings:
        if isinstance(setting, int):
            ids.add(setting)
        elif isinstance(setting, Iterable) and not isinstance(setting, (str, bytes)):
            ids.update(token_id for token_id in setting if isinstance(token_id, int))
    return ids
