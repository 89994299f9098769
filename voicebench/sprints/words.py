"""The words of a sprint's page, filled in; and its figures, as the language writes numbers.

English and French stand side by side in `wording.WORDING`. French writes a decimal comma.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import reduce

from voicebench import format as form
from voicebench.sprints.language import LANGUAGES, Lang, Text
from voicebench.sprints.readings import whole_or_rounded
from voicebench.sprints.sprint import Said
from voicebench.sprints.wording import WORDING
from voicebench.sprints.wording_found import NO_REMEDY, REMEDIES

_DECIMAL_POINT = re.compile(r"(?<=[0-9])\.(?=[0-9])")


class Words:
    """The words of one language."""

    def __init__(self, lang: Lang) -> None:
        self.lang = lang
        self._column = LANGUAGES.index(lang)

    def __call__(self, key: str, **figures: object) -> str:
        """Return the words of ``key`` with ``figures`` in their places.

        Where the first of these is one, those of ``key.one`` are taken if there are any.
        """
        first = next(iter(figures.values()), None)
        is_one = first in (1, "1") or (self.lang == "fr" and first in (0, "0"))
        if is_one and self.has(f"{key}.one"):
            key = f"{key}.one"
        return WORDING[key][self._column].format(**figures)

    def has(self, key: str) -> bool:
        """Return whether there are words of ``key``."""
        return key in WORDING

    def said(self, said: Said) -> str:
        """Return a sentence; the end of a place's name says how its figure is written.

        A sentence that came with a run, and that this version has no words of, is said in general.
        """
        places = {name: self._place(name, value) for name, value in said.figures.items()}
        if self.lang == "fr" and "remedy" in places:
            places["remedy"] = REMEDIES.get(places["remedy"], NO_REMEDY)
        key = said.key if self.has(said.key) else said.key.partition(".")[0]
        return self(key, **places)

    def joined(self, said: Sequence[Said]) -> str:
        """Return several sentences as one."""
        told = [self.said(one) for one in said]
        return reduce(lambda first, second: self("two", first=first, second=second), told or [""])

    def of_result(self, result: str, text: str) -> str:
        """Return ``text`` with the result that it is said of; as it is where that is empty."""
        return self("of result", result=result, text=text) if result else text

    def text(self, text: Text) -> str:
        """Return what a person wrote."""
        return text.in_language(self.lang)

    def figure(self, text: str) -> str:
        """Return a figure that was written with a decimal point as the language writes it."""
        return _DECIMAL_POINT.sub(",", text) if self.lang == "fr" else text

    def ms(self, value: float | None) -> str:
        """Return milliseconds with their unit."""
        if value is None:
            return form.NOTHING
        return self.figure(f"{whole_or_rounded(value, 'ms')} ms")

    def percent(self, share: float | None) -> str:
        """Return a share of 1 as percent."""
        return self.figure(form.percent(share))

    def limit(self, value: float, unit: str) -> str:
        """Return a limit with its unit."""
        return self.figure(form.limit(value, unit))

    def points(self, points: float) -> str:
        """Return points, or another count."""
        return self.figure(form.number(points, "count"))

    def gain(self, gained: float | None) -> str:
        """Return a change with its sign; ``=`` for none."""
        if gained is None:
            return form.NOTHING
        return self.figure(f"{gained:+g}") if gained else "="

    def label(self, name: str) -> str:
        """Return what a figure is called: its metric's name, with the statistic behind it."""
        metric, _, statistic = name.partition(".")
        called = self(f"label.{metric}") if self.has(f"label.{metric}") else metric
        if not statistic or metric == "errors":
            return called
        return f"{called} ({self.statistic(statistic)})"

    def statistic(self, statistic: str) -> str:
        """Return what a statistic is called: ``p95``, ``mean``, ``under 300 ms``."""
        plain, _, argument = statistic.partition("(")
        if argument:
            return self(f"statistic.{plain}", limit=self.figure(argument.removesuffix(")")))
        key = f"statistic.{plain}"
        return self(key) if self.has(key) else plain

    def _place(self, name: str, value: str | float) -> str:
        kind = name.rpartition("_")[2]
        if isinstance(value, str):
            return self._named(kind, value)
        if kind == "x":
            return self.figure(form.times(value))
        if kind == "ms":
            return self.ms(value)
        return self.percent(value) if kind == "share" else self.points(value)

    def _named(self, kind: str, value: str) -> str:
        if kind == "statistic":
            return self.statistic(value)
        if kind == "figure":
            return self.figure(value)
        return self(f"stage.{value}") if kind == "stage" and self.has(f"stage.{value}") else value
