"""A table of a TOML file whose values are checked as they are taken out of it.

Every error names the key, so a person finds the line: ``runs[2].llm_ms: 'fast' is no number``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from voicebench.errors import UsageError
from voicebench.sprints.language import LANGUAGES, Text

_UTC = "+00:00"


@dataclass(frozen=True, slots=True)
class SprintEntry:
    """One table. ``where`` is what errors call it: ``runs[2]``; empty for the whole file."""

    values: Mapping[str, object]
    where: str
    file: str

    def has(self, key: str) -> bool:
        """Return whether the key is there."""
        return key in self.values

    def get(self, key: str) -> object:
        """Return the value of ``key``; an error where it is missing."""
        if key not in self.values:
            raise self.error(key, "is missing")
        return self.values[key]

    def number(self, key: str, most: float = math.inf) -> float:
        """Return a finite number from 0 to ``most``."""
        return self.as_number(key, self.get(key), most)

    def number_or_none(self, key: str) -> float | None:
        """Return a number; None where the key is missing."""
        return self.number(key) if self.has(key) else None

    def as_number(self, key: str, value: object, most: float = math.inf) -> float:
        """Return ``value``, which ``key`` holds, as a finite number from 0 to ``most``."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(key, f"{value!r} is no number")
        if not 0 <= value <= most or math.isinf(value):
            bound = "not negative" if math.isinf(most) else f"from 0 to {most:g}"
            raise self.error(key, f"{value!r} is out of range: a number here is {bound}")
        return float(value)

    def whole_or_none(self, key: str) -> int | None:
        """Return a whole number; None where the key is missing."""
        number = self.number_or_none(key)
        if number is None:
            return None
        if number != int(number):
            raise self.error(key, f"{number!r} is no whole number")
        return int(number)

    def flag_or_none(self, key: str) -> bool | None:
        """Return true or false; None where the key is missing."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.error(key, f"{value!r} is neither true nor false")
        return value

    def string(self, key: str, default: str | None = None) -> str:
        """Return a string; ``default`` where the key is missing."""
        if default is not None and not self.has(key):
            return default
        value = self.get(key)
        if not isinstance(value, str):
            raise self.error(key, f"{value!r} is no text")
        return value

    def moment_or_none(self, key: str) -> str | None:
        """Return a day or a moment as ISO 8601 writes it; None where the key is missing."""
        value = self.values.get(key)
        if isinstance(value, datetime):
            return value.isoformat().replace(_UTC, "Z")
        if value is None or isinstance(value, date):
            return value.isoformat() if value else None
        return self.string(key)

    def text_or_none(self, key: str) -> Text | None:
        """Return a text; None where the key is missing."""
        return self.as_text(key, self.get(key)) if self.has(key) else None

    def text(self, key: str) -> Text:
        """Return a text, or one in each language: ``{ en = "…", fr = "…" }``."""
        return self.as_text(key, self.get(key))

    def as_text(self, key: str, value: object) -> Text:
        """Return ``value``, which ``key`` holds, as a text."""
        if isinstance(value, str):
            return Text(value, value)
        if not isinstance(value, dict) or set(value) != set(LANGUAGES):
            raise self.error(key, f"{value!r} is no text, nor one in each of 'en' and 'fr'")
        each = SprintEntry(value, f"{self.where}.{key}".lstrip("."), self.file)
        return Text(each.string("en"), each.string("fr"))

    def texts(self, key: str) -> tuple[Text, ...]:
        """Return a text or a list of texts; none where the key is missing."""
        value = self.values.get(key, [])
        listed = value if isinstance(value, list) else [value]
        return tuple(self.as_text(key, one) for one in listed)

    def error(self, key: str, what: str) -> UsageError:
        """Return the error that says ``what`` is wrong with ``key``."""
        where = f"{self.where}.{key}".lstrip(".")
        return UsageError(f"{self.file}: {where} {what}", "docs/sprint.md has the keys")
