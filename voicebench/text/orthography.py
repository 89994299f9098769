"""How words, marks and characters are written: facts that the chunker needs.

English and French short forms, the marks of several scripts, which characters a space does not
divide, and what a reader sees as one character (UAX #29, as far as `unicodedata` goes).
"""

from __future__ import annotations

import unicodedata

WIDE_CLAUSE_MARKS = frozenset("、，；：､")
WIDE_MARKS = WIDE_CLAUSE_MARKS | frozenset("。！？｡")
"""Marks of Chinese and Japanese, which have no space after them."""

DASHES = frozenset("-—–")
CLAUSE_MARKS = frozenset(",;:،؛") | DASHES | WIDE_CLAUSE_MARKS
MARKS = CLAUSE_MARKS | WIDE_MARKS | frozenset(".!?…‽؟।॥")
OPENERS = frozenset("([{“‘«„¿¡「『（《〈【〔［｛")
CLOSERS = frozenset(")]}”»」』）》〉】〕］｝")
UNITS_AFTER_A_SPACE = frozenset("%€°‰")
"""French and German write these after a number and a space."""

LINE_ENDS = frozenset("\n\u2028\u2029")

_AROUND_A_WORD = "\"'“”‘’«»()[]{}*_`,;:!?…—–"
_NO_BREAK_SPACES = frozenset("\u00a0\u202f\u2007")
_ZERO_WIDTH_JOINER = "\u200d"
_VIRAMA = 9  # the combining class of the sign that joins two letters of an Indic script

_TITLES = frozenset(
    "mr mrs ms mx dr prof st mt ft rev hon gen col capt lt sgt adm gov sen rep pres "  # noqa: SIM905
    "mm mme mmes mlle mlles pr ste".split()
)
_BEFORE_A_WORD = frozenset("vs cf approx env ca viz av ex eg ie".split())  # noqa: SIM905
_BEFORE_A_NUMBER = frozenset(
    "no nos nr fig figs vol ch chap art pp eq jan feb mar apr jun jul aug sep sept "  # noqa: SIM905
    "oct nov dec janv févr avr juil déc".split()
)
_INSIDE_A_SENTENCE = frozenset(
    "etc inc ltd corp jr sr dept ave blvd bd tel tél ext al".split()  # noqa: SIM905
)


def is_space(char: str) -> bool:
    """Return whether a word ends at ``char``; a no-break space is part of its word."""
    return char.isspace() and char not in _NO_BREAK_SPACES


def word_in(token: str) -> str:
    """Return ``token`` as in the tables of short forms: "(Dr." gives "dr".

    Lower case, without quotes, brackets, markup and its last period.
    """
    return token.strip(_AROUND_A_WORD).removesuffix(".").lower()


def is_short_form(word: str) -> bool:
    """Return whether a period after ``word`` does not end a sentence: "Dr.", "U.S."."""
    return (
        _is_initial(word)
        or _is_dotted(word)
        or word in _TITLES
        or word in _BEFORE_A_WORD
        or word in _INSIDE_A_SENTENCE
    )


def leads_a_number(word: str) -> bool:
    """Return whether a period after ``word`` belongs to it if a number follows: "No. 5"."""
    return word in _BEFORE_A_NUMBER


def is_bound_to(token: str, char: str) -> bool:
    """Return whether ``token`` should stay with the next word, which begins with ``char``.

    A title and its name ("Dr Smith"), an initial, "e.g." and its example, digit groups
    ("100 000"), "fig. 3".
    """
    word = word_in(token)
    if word in _TITLES:
        return True
    if char.isdigit() and (token[-1:].isdigit() or word in _BEFORE_A_NUMBER):
        return True
    abbreviates = _is_initial(word) or word.replace(".", "") in _BEFORE_A_WORD
    return token.endswith(".") and abbreviates


def is_unspaced(char: str) -> bool:
    """Return whether ``char`` is a letter of Chinese or Japanese: no spaces between words."""
    if char < "\u3005":
        return False
    return (
        char <= "\u3007"
        or "\u3040" <= char <= "\u30ff"
        or "\u31f0" <= char <= "\u31ff"
        or "\u3400" <= char <= "\u9fff"
        or "\uf900" <= char <= "\ufaff"
        or "\uff66" <= char <= "\uff9f"
        or "\U00020000" <= char <= "\U0003ffff"
    )


def is_bound_without_space(last: str, char: str) -> bool:
    """Return whether two characters of Chinese or Japanese text seem to be parts of one word.

    Without a dictionary: a hiragana ending stays with its stem, a katakana word stays whole, and a
    counter stays with its number ("3年").
    """
    if char in "々ー〻ｰ" or "\u3040" <= char <= "\u309f":
        return True
    return (_is_katakana(last) and _is_katakana(char)) or last.isdigit()


def is_regional_indicator(char: str) -> bool:
    """Return whether ``char`` is half of a flag."""
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def is_one_character(last: str, char: str) -> bool:
    """Return whether a reader sees ``char`` as part of the character that ends in ``last``.

    Not for the halves of a flag: both halves look alike, so they have to be counted.
    """
    if char < "\u0300":
        return last == "\r" and char == "\n"
    return (
        last == _ZERO_WIDTH_JOINER
        or char in (_ZERO_WIDTH_JOINER, "\u200c", "ﾞ", "ﾟ")
        or unicodedata.category(char)[0] == "M"
        or unicodedata.combining(last) == _VIRAMA
        or "\U0001f3fb" <= char <= "\U0001f3ff"  # skin tones
        or "\U000e0020" <= char <= "\U000e007f"  # tags: the flag of Scotland
        or "\u1160" <= char <= "\u11ff"  # the vowel and the end of a Hangul syllable
        or ("\u1100" <= last <= "\u115f" and _continues_hangul(char))
    )


def _is_initial(word: str) -> bool:
    """Return whether ``word`` is one letter, as in "J. R. Tolkien"."""
    return len(word) == 1 and word.isalpha() and not is_unspaced(word)


def _is_dotted(word: str) -> bool:
    """Return whether ``word`` is short parts between periods: "u.s", "e.g", "ph.d", "j.-c"."""
    parts = word.replace("-", "").split(".")
    return len(parts) > 1 and all(part.isalpha() and len(part) <= 2 for part in parts)


def _continues_hangul(char: str) -> bool:
    return "\u1100" <= char <= "\u115f" or "\uac00" <= char <= "\ud7a3"


def _is_katakana(char: str) -> bool:
    return "\u30a0" <= char <= "\u30ff" or "\uff66" <= char <= "\uff9f"
