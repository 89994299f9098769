"""Slow ways of computing that nobody asked for: which engines take one, why, and what helps.

An engine takes the fastest way that this machine offers, and goes on where one is missing: in torch
without a C compiler, on the CPU where torch cannot use the GPU. Its figures are then those of
another machine. So it says so in its description, which every result keeps; what is said of a
result reads it from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ENGINES = {"llm": "the language model", "tts": "the voice"}
"""The engines of a target's description, and how they are called."""
_BECAUSE, _REMEDY = "slower_because", "faster_with"


@dataclass(frozen=True, slots=True)
class Slower:
    """Why an engine computes more slowly than it could: "computed in …: …"; and the remedy."""

    because: str
    remedy: str

    def describe(self) -> dict[str, object]:
        """Return what an engine's description holds of it."""
        return {_BECAUSE: self.because, _REMEDY: self.remedy}


def described(slower: Slower | None) -> dict[str, object]:
    """Return what an engine's description holds of ``slower``; nothing of None."""
    return {} if slower is None else slower.describe()


def slower_in(description: object) -> Slower | None:
    """Return what an engine's ``description`` says of it, None where it says nothing."""
    if not isinstance(description, Mapping):
        return None
    because, remedy = description.get(_BECAUSE), description.get(_REMEDY)
    if not isinstance(because, str) or not isinstance(remedy, str):
        return None
    return Slower(because, remedy)


def slower_engines(target: object) -> list[tuple[str, str]]:
    """Return a sentence and its remedy for each slow way that a ``target`` takes.

    ``target`` is its description; engines that are slow for the same reason share a sentence.
    """
    if not isinstance(target, Mapping):
        return []
    named: dict[Slower, list[str]] = {}
    for engine, name in ENGINES.items():
        slower = slower_in(target.get(engine))
        if slower is not None:
            named.setdefault(slower, []).append(name)
    return [
        (sentence(" and ".join(names), slower, many=len(names) > 1), slower.remedy)
        for slower, names in named.items()
    ]


def sentence(name: str, slower: Slower, *, many: bool = False) -> str:
    """Return ``slower`` as a sentence about what is called ``name``."""
    return f"{name} {'are' if many else 'is'} {slower.because}"
