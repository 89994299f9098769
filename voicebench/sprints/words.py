"""The sentences of a sprint's page in English or French, with their figures filled in.

``wording.toml`` has every sentence in both languages. French writes a decimal comma.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import reduce
from pathlib import Path

from voicebench import format as form
from voicebench.sprints.readings import whole_or_rounded
from voicebench.sprints.sprint import LANGUAGES, Lang, Sentence, Text

AS_FOUND = "{finding}; {remedy}"
"""English repeats what the run's own report found."""
_DECIMAL_POINT = re.compile(r"(?<=[0-9])\.(?=[0-9])")

_FILE = tomllib.loads(Path(__file__).with_name("wording.toml").read_text(encoding="utf-8"))
FOUND: dict[str, str] = _FILE["found"]
WORDING: dict[str, tuple[str, str]] = {
    **{key: (english, french) for key, (english, french) in _FILE["sentences"].items()},
    **{key: (AS_FOUND, french) for key, french in FOUND.items()},
}
REMEDIES: dict[str, str] = _FILE["remedies"]
_OTHER_REMEDY = list(REMEDIES.values())[-1]


class Words:
    """The words of one language."""

    def __init__(self, lang: Lang) -> None:
        self.lang = lang
        self._column = LANGUAGES.index(lang)

    def __call__(self, key: str, **figures: object) -> str:
        """Return the sentence of ``key``, with ``figures`` in their places.

        If the first figure is one, the sentence of ``key.one`` is returned where there is one.
        """
        first = next(iter(figures.values()), None)
        is_one = first in (1, "1") or (self.lang == "fr" and first in (0, "0"))
        if is_one and f"{key}.one" in WORDING:
            key = f"{key}.one"
        return WORDING[key][self._column].format(**figures)

    def sentence(self, stored: Sentence) -> str:
        """Return a stored sentence; the end of a place's name says how its figure is written.

        A sentence that this version does not know is replaced by the general one of its kind.
        """
        places = {name: self._place(name, value) for name, value in stored.figures.items()}
        if self.lang == "fr" and "remedy" in places:
            places["remedy"] = REMEDIES.get(places["remedy"], _OTHER_REMEDY)
        key = stored.key if stored.key in WORDING else stored.key.partition(".")[0]
        return self(key, **places)

    def joined(self, sentences: Sequence[Sentence]) -> str:
        """Return several sentences as one."""
        texts = [self.sentence(sentence) for sentence in sentences] or [""]
        return reduce(lambda first, second: self("two", first=first, second=second), texts)

    def of_result(self, result: str, text: str) -> str:
        """Return ``text`` with the name of its result in front; an empty name adds nothing."""
        return self("of result", result=result, text=text) if result else text

    def text(self, text: Text) -> str:
        """Return what a person wrote."""
        return text.fr if self.lang == "fr" else text.en

    def figure(self, text: str) -> str:
        """Return a figure with the language's decimal sign."""
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
        """Return a change with its sign; ``=`` for no change."""
        if gained is None:
            return form.NOTHING
        return self.figure(f"{gained:+g}") if gained else "="

    def label(self, name: str) -> str:
        """Return the page's name of a figure: its metric, and the statistic in brackets."""
        metric, _, statistic = name.partition(".")
        label = self._or_plain("label", metric)
        if not statistic or metric == "errors":
            return label
        return f"{label} ({self.statistic(statistic)})"

    def statistic(self, statistic: str) -> str:
        """Return the page's name of a statistic: ``p95``, ``mean``, ``under 300 ms``."""
        plain, _, argument = statistic.partition("(")
        if argument:
            return self(f"statistic.{plain}", limit=self.figure(argument.removesuffix(")")))
        return self._or_plain("statistic", plain)

    def _or_plain(self, family: str, name: str) -> str:
        key = f"{family}.{name}"
        return self(key) if key in WORDING else name

    def _place(self, name: str, value: str | float) -> str:
        ending = name.rpartition("_")[2]
        if isinstance(value, str):
            return self._written(ending, value)
        if ending == "x":
            return self.figure(form.times(value))
        if ending == "ms":
            return self.ms(value)
        return self.percent(value) if ending == "share" else self.points(value)

    def _written(self, ending: str, text: str) -> str:
        if ending == "statistic":
            return self.statistic(text)
        if ending == "figure":
            return self.figure(text)
        return self._or_plain("stage", text) if ending == "stage" else text
