"""Distributions of durations and counts, written in a few characters.

=====================  ===========================================================================
``2s``, ``fixed:2s``   always 2 seconds
``exp:1.2s``           exponential with a mean of 1.2 seconds
``uniform:1s:3s``      between 1 and 3 seconds, each value equally likely
``lognormal:2.5s:0.5`` lognormal with a mean of 2.5 seconds; 0.5 is the deviation of its logarithm
``6``, ``fixed:6``     always 6 (turns of a call)
``geometric:6``        geometric from 1, with a mean of 6: a caller hangs up after any turn with the
                       same probability
``uniform:2:10``       from 2 to 10, each count equally likely
=====================  ===========================================================================

A value is drawn by the inverse of the distribution function from a number between 0 and 1. So the
same number gives a longer value where the mean is longer, and one draw never moves another.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

from voicebench.errors import UsageError

Shape = Literal["fixed", "exp", "uniform", "lognormal", "geometric"]

LONGEST_S = 3600.0
MOST_TURNS = 10_000
_NORMAL = NormalDist()
_SECONDS = re.compile(r"^(?P<number>[0-9]{1,7}(\.[0-9]{1,9})?)(?P<unit>ms|s|m)$")
_COUNT = re.compile(r"^[0-9]{1,5}$")
_SIGMA = re.compile(r"^[0-9](\.[0-9]{1,6})?$")
_FACTORS = {"ms": 0.001, "s": 1.0, "m": 60.0}
DURATIONS = "write for example '2s', 'exp:1.2s', 'uniform:1s:3s' or 'lognormal:2.5s:0.5'"
COUNTS = "write for example '6', 'geometric:6' or 'uniform:2:10'"


@dataclass(frozen=True, slots=True)
class DurationDistribution:
    """A distribution of durations in seconds."""

    shape: Shape
    first: float
    """The value, the mean, or the lower end, in seconds."""
    second: float = 0.0
    """The upper end in seconds, or the deviation of the logarithm."""

    @property
    def mean_s(self) -> float:
        """The mean in seconds."""
        return (self.first + self.second) / 2 if self.shape == "uniform" else self.first

    def draw(self, u: float) -> float:
        """Return the value in seconds at ``u``, a number above 0 and below 1."""
        match self.shape:
            case "exp":
                return -self.first * math.log1p(-u)
            case "uniform":
                return self.first + u * (self.second - self.first)
            case "lognormal":
                return self._lognormal(u, -0.5)
            case _:
                return self.first

    def draw_running(self, u: float, v: float) -> float:
        """Return a value as an observer finds it who comes at a random moment.

        Longer values are found more often: the density is that of the distribution times the value
        over the mean (Cox 1962, Renewal Theory, section 5.4). ``u`` and ``v`` are independent.
        """
        match self.shape:
            case "exp":
                return -self.first * (math.log1p(-u) + math.log1p(-v))
            case "uniform":
                low, high = self.first**2, self.second**2
                return math.sqrt(low + u * (high - low))
            case "lognormal":
                return self._lognormal(u, 0.5)
            case _:
                return self.first

    def _lognormal(self, u: float, shift: float) -> float:
        sigma = self.second
        if self.first == 0:
            return 0.0
        return self.first * math.exp(sigma * _NORMAL.inv_cdf(u) + shift * sigma * sigma)


@dataclass(frozen=True, slots=True)
class CountDistribution:
    """A distribution of whole numbers from 1."""

    shape: Shape
    first: int
    second: int = 0

    @property
    def mean(self) -> float:
        """The mean."""
        return (self.first + self.second) / 2 if self.shape == "uniform" else float(self.first)

    def draw(self, u: float) -> int:
        """Return the count at ``u``, a number above 0 and below 1."""
        if self.shape == "uniform":
            return self.first + int(u * (self.second - self.first + 1))
        if self.shape == "geometric" and self.first > 1:
            return 1 + int(math.log1p(-u) / math.log1p(-1 / self.first))
        return self.first

    def draw_running(self, u: float, v: float) -> tuple[int, int]:
        """Return the length of a call that is met at a random turn, and the turns behind it.

        Longer calls are met more often, and every turn of a call equally often.
        """
        if self.shape == "geometric":
            # It has no memory: what is left is distributed as a whole call, and so is the past.
            past, left = self.draw(v) - 1, self.draw(u)
            return past + left, past
        length = self.first
        if self.shape == "uniform":
            counts = range(self.first, self.second + 1)
            length = _proportional(counts, u)
        return length, min(int(v * length), length - 1)


def _proportional(counts: Sequence[int], u: float) -> int:
    """Return the count at ``u`` if each is as likely as it is large."""
    wanted = u * sum(counts)
    for count in counts:
        wanted -= count
        if wanted < 0:
            return count
    return counts[-1]


def read_duration(text: str, where: str) -> DurationDistribution:
    """Read a distribution of seconds. Raises `UsageError` beginning with ``where``."""
    shape, parts = _parts(text)
    if shape in ("fixed", "exp") and len(parts) == 1:
        return DurationDistribution(shape, _seconds(parts[0], text, where))  # type: ignore[arg-type]
    if shape == "uniform" and len(parts) == 2:
        low, high = (_seconds(part, text, where) for part in parts)
        if low <= high:
            return DurationDistribution("uniform", low, high)
        raise UsageError(f"{where} {text!r} ends before it begins", DURATIONS)
    if shape == "lognormal" and len(parts) == 2:
        if _SIGMA.match(parts[1]) and float(parts[1]) <= 3:
            return DurationDistribution(
                "lognormal", _seconds(parts[0], text, where), float(parts[1])
            )
        raise UsageError(f"{where} {text!r} has a deviation outside of 0 to 3", DURATIONS)
    raise UsageError(f"{where} {text!r} is not a distribution of durations", DURATIONS)


def read_count(text: str, where: str) -> CountDistribution:
    """Read a distribution of counts. Raises `UsageError` beginning with ``where``."""
    shape, parts = _parts(text)
    if all(_COUNT.match(part) and 1 <= int(part) <= MOST_TURNS for part in parts):
        counts = [int(part) for part in parts]
        if shape in ("fixed", "geometric") and len(counts) == 1:
            return CountDistribution(shape, counts[0])  # type: ignore[arg-type]
        if shape == "uniform" and len(counts) == 2 and counts[0] <= counts[1]:
            return CountDistribution("uniform", counts[0], counts[1])
    raise UsageError(f"{where} {text!r} is not a distribution of counts from 1", COUNTS)


def _parts(text: str) -> tuple[str, list[str]]:
    shape, *parts = [part.strip() for part in text.strip().split(":")]
    return (shape, parts) if parts else ("fixed", [shape])


def _seconds(part: str, text: str, where: str) -> float:
    match = _SECONDS.match(part)
    value = float(match["number"]) * _FACTORS[match["unit"]] if match else math.inf
    if value > LONGEST_S:
        raise UsageError(f"{where} {text!r} has no duration of 0 to {LONGEST_S:.0f} s", DURATIONS)
    return value
