"""Sentences about the remarks of turns: findings that change how the figures are read.

Some parts of a reply are not spoken and are not timed as tokens: reasoning, white space before the
first word, tool calls. Some things in a stream are odd: text after its end, an unknown event. None
of them fails a turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

import numpy as np

from voicebench import format as form
from voicebench.events import RemarkKind
from voicebench.figures.columns import Columns
from voicebench.judging.digest import Digest

LONG_BLANK_MS = 50.0
"""White space gets a sentence if it comes this long before the first word."""

Finding = tuple[str, str]
"""What was found, and the remedy."""

_NO_REASONING = (
    "switch reasoning off (llm.extra, for example chat_template_kwargs = "
    "{enable_thinking = false}, or reasoning_effort), or use a model without it"
)
_DELAYS: dict[RemarkKind, Finding] = {
    "reasoning": (
        "the model thought before it spoke, in {share}: {wait} (median) from its first thought to "
        "its first word; nobody hears them, and llm_ttft includes them",
        _NO_REASONING,
    ),
    "blank": (
        "white space came {wait} (median) before the first word in {share}; it is not a token, and "
        "llm_ttft ends with the word",
        "expect a smaller first token from tools that count any text",
    ),
}
"""Used if the first word came after the remark: by how much is in ``{wait}``."""
_SENTENCES: dict[RemarkKind, Finding] = {
    "reasoning": (
        "the reply contained reasoning in {share}; it is not spoken and not a token",
        _NO_REASONING,
    ),
    "mark": (
        "the reply's text contained special tokens of the model in {share}; they are not spoken",
        "correct the server's chat template, or its stop tokens",
    ),
    "tool calls": (
        "the reply contained tool calls in {share}; they are not spoken",
        "switch tools off",
    ),
    "refusal": (
        "the model refused in a separate field in {share}; it is not spoken",
        "use prompts that it answers",
    ),
    "non-text": (
        "the reply contained parts that are not text in {share}; they are not spoken",
        "request only text from the server",
    ),
    "false end": (
        "the server sent more after it said that the reply was finished, in {share}; that is "
        "measured too",
        "let the server or its gateway write finish_reason only into the last chunk: other clients "
        "cut the reply there",
    ),
    "open end": (
        "the reply's stream stayed open after its finish_reason in {share}; the last text chunk "
        "waited a second for more",
        "let the server send [DONE], or end the answer",
    ),
    "late sound": (
        "sound that does not belong to the turn came in or before {share}; it is not counted, so "
        "the turn that it belongs to is recorded too short",
        "let the server announce a response before its sound, and end it after the last of it",
    ),
    "unknown": (
        "the server sent something that its protocol does not define, in {share}: {said}",
        "check whether it reports a failure",
    ),
}


def remarked(digest: Digest) -> Iterator[Finding]:
    """Yield a sentence for each kind of remark, with the number of measured turns that have it."""
    turns = form.plural(digest.summary.turns - digest.summary.failed, "turn")
    for kind in dict.fromkeys((*_DELAYS, *_SENTENCES)):
        found = [remark for remark in digest.remarks if remark.kind == kind]
        waits_ms = [remark.wait_ms for remark in found if remark.wait_ms is not None]
        wait_ms = median(waits_ms) if waits_ms else None
        sentences = _SENTENCES.get(kind)
        if wait_ms is not None and (kind != "blank" or wait_ms >= LONG_BLANK_MS):
            sentences = _DELAYS.get(kind, sentences)
        if found and sentences:
            said = next((remark.said for remark in found if remark.said), "")
            share, wait = f"{len(found)} of {turns}", form.quantity(wait_ms, "ms")
            finding, remedy = sentences
            yield finding.format(share=share, said=said, wait=wait), remedy
    yield from _odd_counts(digest.columns, turns)


def _odd_counts(columns: Columns, turns: str) -> Iterator[Finding]:
    odd = ~columns.failed & ~np.isnan(columns.traits["tokens_counted"])
    if odd.any():
        counted, seen = (
            float(np.median(columns.traits[name][odd]))
            for name in ("tokens_counted", "tokens_seen")
        )
        yield (
            f"the server's count of tokens contradicts the reply in {int(odd.sum())} of {turns}: "
            f"{counted:g} counted, {seen:g} pieces of text seen (medians); no rate is computed "
            "from it",
            "let the server count reasoning apart (completion_tokens_details), or judge llm_total",
        )
