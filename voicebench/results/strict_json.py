"""JSON of a file, read such that nothing in it can break its reader later.

The standard library reads numbers that are none (``NaN``, ``1e999``), and raises `RecursionError`
where values are nested thousands deep. Both are refused here as `ValueError`, like any other text
that is no JSON.
"""

from __future__ import annotations

import json
import math

MOST_DEPTH = 100
"""Levels of lists and objects inside each other; what voicebench writes has eight."""

MOST_DIGITS = 400


def parse_json(text: str | bytes) -> object:
    """Return the value that ``text`` holds. Raises `ValueError` where it is no such JSON."""
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
    """Return the lists and objects that lie directly in ``value``."""
    if isinstance(value, dict):
        return [inner for inner in value.values() if isinstance(inner, dict | list)]
    if isinstance(value, list):
        return [inner for inner in value if isinstance(inner, dict | list)]
    return []


def _no_number(text: str) -> object:
    raise ValueError(f"{text} is no number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def _whole(text: str) -> int:
    if len(text) > MOST_DIGITS or not math.isfinite(float(text)):
        raise ValueError(f"{text[:20]}… is too large a number")
    return int(text)
