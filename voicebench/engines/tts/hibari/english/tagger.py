"""The part of speech of each word, for words that sound differently as noun and verb.

An averaged perceptron (Collins 2002) over Penn Treebank tags. The model is data of hibari-tts
0.2.1: common words with one tag, and weights of features whose spelling is fixed by the model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

_BEFORE = ("-START2-", "-START-")
_AFTER = ("-END-", "-END2-")


class Tagger:
    """Tags the words of a sentence."""

    def __init__(self, model: Mapping[str, Any]) -> None:
        """Take the model: ``tags``, ``tagdict``, ``vocab`` and ``weights``."""
        self._tags: list[str] = model["tags"]
        self._known: dict[str, str] = model["tagdict"]
        self._vocabulary = frozenset(model["vocab"])
        self._weights: dict[str, dict[str, float]] = model["weights"]

    def tags(self, words: Sequence[str]) -> list[str]:
        """Return the Penn Treebank tag of each of ``words``, punctuation among them."""
        around = [*_BEFORE, *map(self._reduced, words), *_AFTER]
        tags: list[str] = [*_BEFORE]
        for place, word in enumerate(words):
            tag = self._known.get(word)
            if tag is None:
                tag = self._best(_features(place, word, around, tags[-1], tags[-2]))
            tags.append(tag)
        return tags[len(_BEFORE) :]

    def _best(self, features: Sequence[str]) -> str:
        scores: dict[str, float] = defaultdict(float)
        for feature in features:
            for tag, weight in self._weights.get(feature, {}).items():
                scores[tag] += weight
        if not scores:
            return "NN"
        return max(self._tags, key=lambda tag: (scores.get(tag, 0.0), tag))

    def _reduced(self, word: str) -> str:
        """Return ``word`` as features spell it: in small letters, or its shape if it is rare."""
        if "-" in word[1:] and word[0] != "-":
            reduced = "!HYPHEN"
        elif word[0].isdigit():
            reduced = "!YEAR" if word.isdigit() and len(word) == 4 else "!DIGITS"
        else:
            reduced = word.lower()
        return reduced if reduced in self._vocabulary else f"<{_shape(word)}>"


def _shape(word: str) -> str:
    if word.isalpha():
        if word.islower():
            return "x"
        if word.isupper():
            return "XX" if len(word) > 1 else "X1"
        return "Xx" if word[0].isupper() and word[1:].islower() else "xX"
    if word.isdigit():
        return "d"
    kinds = ("d" if char.isdigit() else "x" if char.isalpha() else char for char in word[:4])
    return "".join(kinds)


def _features(
    place: int, word: str, around: Sequence[str], before: str, before_that: str
) -> tuple[str, ...]:
    here = place + len(_BEFORE)
    return (
        "b",
        f"s3={word[-3:]}",
        f"p1={word[0]}",
        f"w={around[here]}",
        f"sh={_shape(word)}",
        "i0" if place == 0 else "i+",
        f"t-1={before}",
        f"t-2={before_that}",
        f"t-12={before},{before_that}",
        f"w-1={around[here - 1]}",
        f"s3-1={around[here - 1][-3:]}",
        f"w-2={around[here - 2]}",
        f"w+1={around[here + 1]}",
        f"s3+1={around[here + 1][-3:]}",
        f"w+2={around[here + 2]}",
    )
