"""Word errors: the smallest number of words to change, to add and to leave out.

Words are compared in lower case, without punctuation. A figure and its word differ ("9" and
"nine"), so the texts of scripts write numbers as words.
"""

from __future__ import annotations

import re
import unicodedata

_APART = re.compile(r"[^\w]|_")
_WITHIN = re.compile(r"['’]")


def words_of(text: str) -> list[str]:
    """Return the words of ``text`` as they are compared."""
    plain = unicodedata.normalize("NFKC", text).lower()
    return _APART.sub(" ", _WITHIN.sub("", plain)).split()


def word_error_rate(said: str, heard: str) -> float | None:
    """Return the errors in ``heard`` over the words of ``said``; None if nothing was said.

    The Levenshtein distance over words. It may exceed 1.
    """
    wanted, found = words_of(said), words_of(heard)
    if not wanted:
        return None
    row = list(range(len(found) + 1))
    for number, word in enumerate(wanted, start=1):
        before, row[0] = row[0], number
        for place, other in enumerate(found, start=1):
            changed = before + (word != other)
            before = row[place]
            row[place] = min(changed, row[place] + 1, row[place - 1] + 1)
    return row[-1] / len(wanted)
