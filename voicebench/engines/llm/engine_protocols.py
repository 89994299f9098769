"""Interfaces of an engine and of a tokenizer, from which `generation` makes replies."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Protocol, runtime_checkable

from voicebench.engines.llm.fast.joint_passes import JointPasses
from voicebench.text.chat_template import PastMessage


def ignore(_count: int) -> None:
    """Take a count and do nothing with it."""


class Generating(Protocol):
    """An engine: a loaded model without its tokenizer."""

    @property
    def context_tokens(self) -> int:
        """How many ids the prompt and the reply may have together."""
        ...

    def generate(
        self,
        prompt_ids: Sequence[int],
        scope: str | None = None,
        found: Callable[[int], None] = ignore,
    ) -> Generator[int | None]:
        """Yield sampled ids, each once it is on the host, until closed or the context is full.

        None comes between two pieces of a long prompt, where other turns may go first.
        Turns of one ``scope`` may use each other's keys and values; a turn without one uses no
        other turn's. ``found`` gets, before the first id, how many ids of the prompt were not
        computed again. An engine that does not know calls it never. Raises `EngineError` if the
        model fails during a reply.
        """
        ...

    def read_ahead(self, ids: Sequence[int], scope: str) -> None:
        """Compute the keys and values of ``ids``, with which a prompt of ``scope`` will begin.

        For the time between turns: it does nothing while a reply is being generated, or if the
        engine keeps no keys and values.
        """
        ...

    def describe(self) -> dict[str, object]:
        """Return what the results record about the engine."""
        ...

    def close(self) -> None:
        """Release the model."""
        ...


@runtime_checkable
class SharesPasses(Protocol):
    """An engine that may compute several turns in one pass."""

    @property
    def step_sharing(self) -> JointPasses | None:
        """The passes that turns share; None if they are computed one after another."""
        ...


class ChatTokenizing(Protocol):
    """A tokenizer: a conversation becomes ids, and ids become text."""

    @property
    def turn_ends(self) -> frozenset[int]:
        """The ids that end the model's turn."""
        ...

    @property
    def reasoning_marks(self) -> tuple[int, int] | None:
        """The ids that open and close a model's reasoning, if it has such ids."""
        ...

    @property
    def ends_at_line(self) -> bool:
        """Whether a reply is one line, because the model has no chat template."""
        ...

    def encode_turn(
        self, system_prompt: str, prompt: str, earlier: Sequence[PastMessage] = ()
    ) -> list[int]:
        """Return the ids after which the model's answer to ``prompt`` begins.

        ``earlier`` are the messages before it: user and model in turn, the user first.
        """
        ...

    def encode_beginning(self, system_prompt: str, earlier: Sequence[PastMessage]) -> list[int]:
        """Return the ids that every prompt after the messages ``earlier`` begins with."""
        ...

    def encode_text(self, text: str) -> list[int]:
        """Return the ids of plain text, without special tokens."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids`` without special tokens, with all spaces."""
        ...
