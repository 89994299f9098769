"""JSON of a file, checked so that no value in it breaks its reader later.

The standard library accepts ``NaN`` and ``1e999``, and raises `RecursionError` for values nested
thousands deep. Here both raise `ValueError`, like any other text that is not JSON.
"""

from __future__ import annotations

import json
import math

MOST_DEPTH = 100
"""Levels of nested lists and objects; voicebench itself writes eight."""

MOST_DIGITS = 400


def parse_json(text: str | bytes) -> object:
    """Return the value in ``text``. Raises `ValueError` if it is not such JSON."""
    try:
        value: object = json.loads(
            text, parse_constant=_no_number, parse_float=_finite, parse_int=_whole
        )
    except RecursionError:
        raise ValueError("values are nested too deep") from None
    _check_depth(value)
    return value


def _check_depth(value: object) -> None:
    level = [value]
    for _ in range(MOST_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return
    raise ValueError("values are nested too deep")


def _inside(value: object) -> list[object]:
    """Return the lists and objects directly in ``value``."""
    if isinstance(value, dict):
        return [inner for inner in value.values() if isinstance(inner, dict | list)]
    if isinstance(value, list):
        return [inner for inner in value if isinstance(inner, dict | list)]
    return []


def _no_number(text: str) -> object:
    raise ValueError(f"{text} is not a number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def _whole(text: str) -> int:
    if len(text) > MOST_DIGITS or not math.isfinite(float(text)):
        raise ValueError(f"{text[:20]}… is too large a number")
    return int(text)
