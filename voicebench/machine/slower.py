"""Slow ways of computing that the user did not choose: which engine, why, and the remedy.

An engine takes the fastest way to compute on this machine. If one is missing it takes a slower one:
torch without a C compiler, the CPU if torch cannot use the GPU. Its figures are then not those of
the machine. So the engine says so in its description, which every result keeps, and reports read it
from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ENGINES = {"llm": "the language model", "tts": "the voice"}
"""The engines in a target's description, and their names in sentences."""
_BECAUSE, _REMEDY = "slower_because", "faster_with"


@dataclass(frozen=True, slots=True)
class Slower:
    """Why an engine computes slowly, as in "computed in …: …", and the remedy."""

    because: str
    remedy: str

    def describe(self) -> dict[str, object]:
        """Return the entries for an engine's description."""
        return {_BECAUSE: self.because, _REMEDY: self.remedy}


def described(slower: Slower | None) -> dict[str, object]:
    """Return the entries for an engine's description; none for None."""
    return {} if slower is None else slower.describe()


def slower_in(description: object) -> Slower | None:
    """Return the slow way in an engine's ``description``; None if it has none."""
    if not isinstance(description, Mapping):
        return None
    because, remedy = description.get(_BECAUSE), description.get(_REMEDY)
    if not isinstance(because, str) or not isinstance(remedy, str):
        return None
    return Slower(because, remedy)


def slower_engines(target: object) -> list[tuple[str, str]]:
    """Return (sentence, remedy) for each slow way in ``target``, a target's description.

    Engines that are slow for the same reason share a sentence.
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
    """Return ``slower`` as a sentence about ``name``."""
    return f"{name} {'are' if many else 'is'} {slower.because}"
