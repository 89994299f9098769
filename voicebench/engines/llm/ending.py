"""Where a spoken answer may end before the model ends it.

A listener wants a whole sentence, not the whole essay. Once an answer has enough words it ends at
the next end of a sentence, never inside one. That a full stop ends a sentence ("3.14", "Dr. Smith",
"e.g. this" do not) is only sure when the text after it is known, so the rule looks at the next
piece of text before it decides; that piece is then not shown.
"""

from __future__ import annotations

import re

_CLOSERS = re.escape("\"'”’»)]*_」』")
_CERTAIN_END = re.compile(rf"[。！？][{_CLOSERS}]*$")
_LIKELY_END = re.compile(rf"[.!?…][{_CLOSERS}]*$")
_LAST_WORD = re.compile(rf"(\S+?)[{_CLOSERS}]*$")
_INITIAL = re.compile(r"(?:[^\W\d_]\.)+")
"""``J.`` or ``U.S.`` or ``e.g.``: letters each with its stop."""
_ABBREVIATIONS = frozenset(
    (
        *("mr.", "mrs.", "ms.", "dr.", "prof.", "st.", "jr.", "sr.", "vs.", "etc.", "inc.", "ltd."),
        *("co.", "approx.", "mt.", "ave.", "fig."),
        *("m.", "mme.", "mlle.", "env.", "cf.", "av.", "bd."),
    )
)
_LIST_NUMBER = re.compile(r"\d+\.$")
_CJK = r"\u3040-\u30ff\u3400-\u9fff"
_WORD = re.compile(rf"[{_CJK}]|[^\s{_CJK}]+")
"""A word between spaces; where a script writes no spaces, each of its characters counts."""


class SentenceEnding:
    """Tells when a reply of at least ``end_after_words`` words has come to a sentence's end."""

    def __init__(self, end_after_words: int | None) -> None:
        self._end_after_words = end_after_words
        self._text = ""

    def push(self, text: str) -> None:
        """Take the next piece of the reply that is shown."""
        self._text += text

    def ends_before(self, following: str) -> bool:
        """Return whether the reply may end where it is, ``following`` being what comes next."""
        if self._end_after_words is None or not following:
            return False
        if count_words(self._text) < self._end_after_words:
            return False
        return is_sentence_end(self._text, following)


def is_sentence_end(text: str, following: str) -> bool:
    """Return whether a sentence ends with ``text``, seen what follows it directly."""
    text = text.rstrip(" ")
    if _CERTAIN_END.search(text):
        return True
    if not _LIKELY_END.search(text) or not following[:1].isspace():
        return False
    last_word = _LAST_WORD.search(text)
    word = last_word[1].lstrip("\"'“‘«([*_") if last_word else ""
    if _LIST_NUMBER.search(word) and _starts_line(text, word):
        return False
    return not (word.lower() in _ABBREVIATIONS or _INITIAL.fullmatch(word))


def count_words(text: str) -> int:
    """Return the number of words in ``text``."""
    return len(_WORD.findall(text))


def _starts_line(text: str, word: str) -> bool:
    """Tell the ``1.`` of a list from a sentence that ends in a number."""
    return text.rsplit("\n", 1)[-1].strip() == word
