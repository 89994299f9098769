"""What a conversation looks like to a language model: roles, turn ends and reasoning marks.

A model that was trained to chat brings a template that lays out the turns. A model without one
knows only text that goes on, so its turn is laid out plainly, and its answer is one line:

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
"""Special tokens with which known model families end a turn, whatever their settings file says:
ChatML (SmolLM, Qwen), Llama 3, Phi, Gemma, Llama 2 and Mistral."""

REASONING_MARKS = ("<think>", "</think>")


@dataclass(frozen=True, slots=True)
class PastMessage:
    """What was said earlier in a conversation, and by whom.

    The user begins, and the two take turns: that is what every template can lay out.
    """

    role: Literal["user", "assistant"]
    text: str


def messages(
    system_prompt: str, prompt: str, earlier: Sequence[PastMessage] = ()
) -> list[dict[str, str]]:
    """Return the conversation in which the user has just said ``prompt``."""
    told = [{"role": "system", "content": system_prompt}] if system_prompt else []
    said = [{"role": it.role, "content": it.text} for it in (*earlier, PastMessage("user", prompt))]
    return told + said


def messages_without_system(
    system_prompt: str, prompt: str, earlier: Sequence[PastMessage] = ()
) -> list[dict[str, str]]:
    """Return the same for a template that knows no system role: its words go before the user's."""
    first, *rest = messages("", prompt, earlier)
    content = first["content"]
    return [
        first | {"content": f"{system_prompt}\n\n{content}" if system_prompt else content},
        *rest,
    ]


def plain_turn(system_prompt: str, prompt: str, earlier: Sequence[PastMessage] = ()) -> str:
    """Return the text after which a model without a chat template answers, on the same line."""
    opening = f"{system_prompt}\n\n" if system_prompt else ""
    said = "".join(f"{it.role.capitalize()}: {it.text}\n" for it in earlier)
    return f"{opening}{said}User: {prompt}\nAssistant:"


def eos_ids(*settings: object) -> set[int]:
    """Return the ids of ``eos_token_id`` settings, each of which is an id, a list, or missing."""
    ids: set[int] = set()
    for setting in settings:
        if isinstance(setting, int):
            ids.add(setting)
        elif isinstance(setting, Iterable) and not isinstance(setting, (str, bytes)):
            ids.update(token_id for token_id in setting if isinstance(token_id, int))
    return ids
