"""A reply of OpenAI's chat protocol that comes as one JSON document."""

from __future__ import annotations

from collections.abc import Iterator

from voicebench.events import LlmEvent, RemarkKind, Reply
from voicebench.remote.clients.openai_reply import no_text
from voicebench.remote.clients.openai_words import CUT, choice_in, counts_in, failure_in
from voicebench.remote.connection.answer import Answer
from voicebench.remote.formats.json_text import json_object, whole_letters
from voicebench.text.visible import Remarks, visible_reply

MAX_ANSWER_BYTES = 16 << 20


def read_whole(answer: Answer) -> Iterator[LlmEvent]:
    """Yield the reply in ``answer``, what was withheld of it and its count of tokens.

    Raises `RemoteError` where there is no reply, or where it was cut short.
    """
    with answer.adding_context():
        document = json_object(answer.whole(MAX_ANSWER_BYTES))
        said = failure_in(document)
        if said is not None:
            raise answer.failure(f"failed: {answer.quote(said)}", fault="engine")
        choice = choice_in(document, "message")
        content = whole_letters(choice.text) if choice else ""
        text, unseen, had_thought = visible_reply(content)
        withheld = dict.fromkeys((*(choice.hidden if choice else ()), *unseen))
        if choice is not None and choice.finish_reason in CUT:
            raise answer.failure(
                f"cut the reply short (finish_reason {choice.finish_reason!r})", fault="engine"
            )
        if not text:
            raise no_text(answer, withheld)
        yield from Remarks().of(withheld)
        yield Reply(text)
        counts = counts_in(document)
        if counts is not None:
            thought: set[RemarkKind] = {"reasoning"} if had_thought else set()
            yield counts.usage((set(withheld) | thought) - {"blank", "mark"})
