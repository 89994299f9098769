"""How an English word sounds: looked up, or derived from a word that is in the lexicon.

Entries and conventions are those of misaki 0.9.4 (American English), which the voice was trained
on: a stress mark stands before its vowel, small words have none, and words that sound differently
by their part of speech have one entry for each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

PRIMARY, SECONDARY = "ˈ", "ˌ"
VOWELS = frozenset("AIOQWYaiuæɑɒɔəɛɜɪʊʌᵻ")
CONSONANTS = frozenset("bdfhjklmnpstvwzðŋɡɹɾʃʒʤʧθ")
_TAPPED_AFTER = frozenset("AIOWYiuæɑəɛɪɹʊʌ")
"""Between one of these and a vowel, American speakers tap a t."""

_LONGEST_ACRONYM = 5

Entry = str | Mapping[str, str]
"""Phonemes, or phonemes by part of speech; ``None`` stands for the end of a clause."""


@dataclass(frozen=True, slots=True)
class After:
    """The context after a word."""

    is_vowel: bool | None
    """Whether the next sound is a vowel; None at the end of a clause."""
    is_to: bool = False
    """Whether the next word is "to"."""


class Lexicon:
    """The lexicon: carefully made entries, and entries from other sources behind them."""

    def __init__(self, gold: Mapping[str, Entry], silver: Mapping[str, Entry]) -> None:
        self._gold = gold
        self._silver = silver

    def phonemes(self, word: str, tag: str, after: After) -> str | None:
        """Return the phonemes of ``word``; None if they cannot be told from the lexicon.

        ``tag`` is its Penn Treebank tag. A word in capitals is stressed, or spelt out.
        """
        small = _small_word(word, tag, after)
        if small is not None:
            return small
        if "." in word:
            return self.spelt(word)
        key = self._key(word, tag)
        if key is None:
            derived = self._derived(word, tag, after) or self._derived(word.lower(), tag, after)
            is_acronym = word.isupper() and len(word) <= _LONGEST_ACRONYM
            return derived or (self.spelt(word) if is_acronym else None)
        found = self._sound(key, tag, after)
        if found is None or (word.isupper() and len(word) > 1 and PRIMARY not in found):
            return self.spelt(word) if word.isupper() else found
        return found if word == word.lower() else _emphasised(found, strongly=word.isupper())

    def spelt(self, word: str) -> str | None:
        """Return the names of the letters of ``word``, the last one stressed."""
        names = [self._gold.get(letter.upper()) for letter in word if letter.isalpha()]
        if not names or not all(isinstance(name, str) for name in names):
            return None
        weakened = "".join(weaker(str(name)) for name in names)
        head, mark, last = weakened.rpartition(SECONDARY)
        return f"{head}{PRIMARY}{last}" if mark else weakened

    def _key(self, word: str, tag: str) -> str | None:
        """Return the spelling under which ``word`` is in the lexicon, or None."""
        is_name = word.isupper() and tag == "NNP"
        for key in (word, word.lower(), word.capitalize()):
            if key in self._gold or (key in self._silver and not is_name):
                return key
        return None

    def _sound(self, key: str, tag: str, after: After) -> str | None:
        entry = self._gold.get(key, self._silver.get(key))
        if entry is None or isinstance(entry, str):
            return entry
        if after.is_vowel is None and "None" in entry:
            return entry["None"]
        return entry.get(tag) or entry.get(_kind(tag)) or entry["DEFAULT"]

    def _derived(self, word: str, tag: str, after: After) -> str | None:
        """Return the phonemes of a word with an ending, made from those of its stem."""
        for stems, ending in ((_stems_of_s, _with_s), (_stems_of_ed, _with_ed)):
            for stem in stems(word):
                key = self._key(stem, tag)
                sound = self._sound(key, tag, after) if key else None
                if sound:
                    return ending(sound)
        for stem in _stems_of_ing(word):
            key = self._key(stem, tag)
            sound = self._sound(key, tag, after) if key else None
            if sound:
                return _with_ing(_emphasised(sound, strongly=False))
        return None


def weaker(phonemes: str) -> str:
    """Return ``phonemes`` with one degree of stress less."""
    if PRIMARY not in phonemes:
        return phonemes
    return phonemes.replace(SECONDARY, "").replace(PRIMARY, SECONDARY)


def _emphasised(phonemes: str, *, strongly: bool) -> str:
    """Return ``phonemes`` with a stress if it has none; ``strongly`` makes it a primary one."""
    mark = PRIMARY if strongly else SECONDARY
    if PRIMARY not in phonemes and SECONDARY not in phonemes:
        place = next((at for at, sound in enumerate(phonemes) if sound in VOWELS), None)
        return phonemes if place is None else f"{phonemes[:place]}{mark}{phonemes[place:]}"
    if strongly and PRIMARY not in phonemes:
        return phonemes.replace(SECONDARY, PRIMARY)
    return phonemes


def _small_word(word: str, tag: str, after: After) -> str | None:
    """Return the phonemes of a small word that depend on its part in the sentence."""
    is_last = after.is_vowel is None
    if word in ("a", "A"):
        return "ɐ" if tag == "DT" else "ˈA"
    if word == "I":
        return "ˌI" if tag == "PRP" else None
    if len(word) > 1 and word.isupper():
        return None
    by_word = {
        "an": "ɐn",
        "am": None if is_last or word != "am" else "ɐm",
        "by": "bˈI" if _kind(tag) == "ADV" else None,
        "to": "tu" if is_last else "tʊ" if after.is_vowel else "tə",
        "in": "ˈɪn" if is_last or tag != "IN" else "ɪn",
        "the": "ði" if after.is_vowel else "ðə",
        "used": "jˈust" if after.is_to and tag in ("VBD", "JJ", "VBN") else None,
    }
    return by_word.get(word.lower())


def _kind(tag: str) -> str:
    for start, kind in (("VB", "VERB"), ("NN", "NOUN"), ("RB", "ADV"), ("JJ", "ADJ")):
        if tag.startswith(start):
            return kind
    return tag


# ---------------------------------------------------------------- endings


def _stems_of_s(word: str) -> Iterator[str]:
    if len(word) < 3 or not word.endswith("s"):
        return
    if not word.endswith("ss"):
        yield word[:-1]
    if word.endswith("'s") or (len(word) > 4 and word.endswith("es") and not word.endswith("ies")):
        yield word[:-2]
    if len(word) > 4 and word.endswith("ies"):
        yield f"{word[:-3]}y"


def _stems_of_ed(word: str) -> Iterator[str]:
    if len(word) < 4 or not word.endswith("d"):
        return
    if not word.endswith("dd"):
        yield word[:-1]
    if len(word) > 4 and word.endswith("ed") and not word.endswith("eed"):
        yield word[:-2]
        if len(word) > 5 and word[-3] == word[-4]:
            yield word[:-3]
    if len(word) > 4 and word.endswith("ied"):
        yield f"{word[:-3]}y"


def _stems_of_ing(word: str) -> Iterator[str]:
    if len(word) < 5 or not word.endswith("ing"):
        return
    if len(word) > 5:
        yield word[:-3]
    yield f"{word[:-3]}e"
    if re.search(r"([bcdgklmnprstvxz])\1ing$|cking$", word):
        yield word[:-4]


def _with_s(stem: str) -> str:
    if stem[-1] in "ptkfθ":
        return f"{stem}s"
    return f"{stem}ᵻz" if stem[-1] in "szʃʒʧʤ" else f"{stem}z"


def _with_ed(stem: str) -> str:
    if stem[-1] in "pkfθʃsʧ":
        return f"{stem}t"
    if stem[-1] == "d":
        return f"{stem}ᵻd"
    if stem[-1] != "t":
        return f"{stem}d"
    return f"{stem[:-1]}ɾᵻd" if stem[-2:-1] in _TAPPED_AFTER else f"{stem}ᵻd"


def _with_ing(stem: str) -> str:
    is_tapped = stem[-1] == "t" and len(stem) > 1 and stem[-2] in _TAPPED_AFTER
    return f"{stem[:-1]}ɾɪŋ" if is_tapped else f"{stem}ɪŋ"
