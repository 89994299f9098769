"""End a spoken reply at the end of a sentence, once it has enough words.

Whether a full stop ends a sentence (it does not in "3.14", "Dr. Smith", "e.g. this") depends on the
text after it. So the rule looks at the next piece of text before it decides; if the reply ends,
that piece is not shown.
"""

from __future__ import annotations

import re

_CLOSERS = re.escape("\"'”’»)]*_」』")
_CERTAIN_END = re.compile(rf"[。！？][{_CLOSERS}]*$")
_LIKELY_END = re.compile(rf"[.!?…][{_CLOSERS}]*$")
_LAST_WORD = re.compile(rf"(\S+?)[{_CLOSERS}]*$")
_INITIAL = re.compile(r"(?:[^\W\d_]\.)+")
"""Letters with a full stop each: ``J.``, ``U.S.``, ``e.g.``"""
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
"""A word between spaces, or one character of a script without spaces."""


class SentenceEnding:
    """Decides where a reply with at least ``end_after_words`` words ends; None: nowhere."""

    def __init__(self, end_after_words: int | None) -> None:
        self._end_after_words = end_after_words
        self._text = ""

    def push(self, text: str) -> None:
        """Add the next visible piece of the reply."""
        self._text += text

    def ends_before(self, following: str) -> bool:
        """Return whether the reply ends before the next piece, ``following``."""
        if self._end_after_words is None or not following:
            return False
        if count_words(self._text) < self._end_after_words:
            return False
        return is_sentence_end(self._text, following)


def is_sentence_end(text: str, following: str) -> bool:
    """Return whether ``text`` ends a sentence, given the text ``following`` it."""
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
    """Return whether ``word`` is alone on its line, as the ``1.`` of a list is."""
    return text.rsplit("\n", 1)[-1].strip() == word
