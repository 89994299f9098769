"""What turns remark beside their figures, in sentences: a finding and what to do about it.

Of a reply some things are not spoken and not timed as tokens: reasoning, white space before the
first word, tool calls. Of a stream some things are odd: an end that was none, an event that nobody
knows. None of it fails a turn; all of it bears on how the figures are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import median

import numpy as np

from voicebench import format as form
from voicebench.events import RemarkKind
from voicebench.figures.columns import Columns
from voicebench.judging.digest import Digest, Remarked

LONG_BLANK_MS = 50.0
"""White space that comes so much earlier than the first word is worth a sentence."""

Finding = tuple[str, str]
"""What was found, and the remedy."""


def remarked(digest: Digest) -> Iterator[Finding]:
    """Yield what the measured turns remark, each thing once with the number of turns that do."""
    turns = form.plural(digest.summary.turns - digest.summary.failed, "turn")
    for kind, tell in _SENTENCES.items():
        found = [one for one in digest.remarks if one.kind == kind]
        if found:
            yield from tell(found, f"{len(found)} of {turns}")
    yield from _counts(digest.columns, turns)


_Found = Sequence[Remarked]
_Tell = Callable[[_Found, str], Iterator[Finding]]


def _waits_ms(found: _Found) -> list[float]:
    """Return how long the first word came after the remark, where it came after it."""
    return [one.wait_ms for one in found if one.wait_ms is not None]


def _reasoning(found: _Found, share: str) -> Iterator[Finding]:
    remedy = (
        "switch reasoning off (llm.extra, for example chat_template_kwargs = "
        "{enable_thinking = false}, or reasoning_effort), or take a model without it"
    )
    waits = _waits_ms(found)
    if waits:
        yield (
            f"the model thought before it spoke, in {share}: "
            f"{form.quantity(median(waits), 'ms')} (median) from its first thought to its first "
            "word; nobody hears them, and llm_ttft includes them",
            remedy,
        )
    else:
        yield f"the reply held reasoning in {share}, which is not spoken and no token", remedy


def _blank(found: _Found, share: str) -> Iterator[Finding]:
    waits = _waits_ms(found)
    if waits and median(waits) >= LONG_BLANK_MS:
        yield (
            f"white space came {form.quantity(median(waits), 'ms')} (median) before the first word "
            f"in {share}; it is no token, and llm_ttft ends with the word",
            "expect a smaller first token from tools that count any text",
        )


def _sentence(finding: str, remedy: str) -> _Tell:
    def tell(found: _Found, share: str) -> Iterator[Finding]:
        said = next((one.said for one in found if one.said), "")
        yield finding.format(share=share, said=said), remedy

    return tell


_SENTENCES: dict[RemarkKind, _Tell] = {
    "reasoning": _reasoning,
    "blank": _blank,
    "mark": _sentence(
        "special tokens of the model stood in the reply's text in {share}; they are not spoken",
        "correct the server's chat template, or its stop tokens",
    ),
    "tool calls": _sentence(
        "the reply held tool calls in {share}, which are not spoken", "switch tools off"
    ),
    "refusal": _sentence(
        "the model refused in a field of its own in {share}, which is not spoken",
        "take prompts that it answers",
    ),
    "non-text": _sentence(
        "the reply held content that is no text in {share}, which is not spoken",
        "ask the server for text alone",
    ),
    "false end": _sentence(
        "the server said that the reply was finished, and went on, in {share}; what came after is "
        "measured too",
        "let the server or its gateway write finish_reason into the last chunk alone: other "
        "clients cut the reply there",
    ),
    "open end": _sentence(
        "the reply's stream stayed open after its finish_reason in {share}; the last text chunk "
        "waited a second for more",
        "let the server send [DONE], or end the answer",
    ),
    "late sound": _sentence(
        "sound that was none of the turn's own came in or before {share}; it is not counted, so a "
        "turn that it belongs to is recorded too short",
        "let the server announce a response before its sound, and end it after the last of it",
    ),
    "unknown": _sentence(
        "the server sent something that its protocol does not know, in {share}: {said}",
        "look whether it tells of a failure",
    ),
}


def _counts(columns: Columns, turns: str) -> Iterator[Finding]:
    odd = ~columns.failed & ~np.isnan(columns.traits["tokens_counted"])
    if odd.any():
        told, seen = (
            float(np.median(columns.traits[name][odd]))
            for name in ("tokens_counted", "tokens_seen")
        )
        yield (
            f"the server's count of tokens is not that of the reply in {int(odd.sum())} of "
            f"{turns}: {told:g} counted, {seen:g} pieces of text seen "
            "(medians); no rate is made of it",
            "let the server count reasoning apart (completion_tokens_details), or judge llm_total",
        )
