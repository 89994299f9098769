"""How values are written in every table, sentence and line of progress.

* milliseconds: no decimals from 100 up, one below (``252``, ``71.4``);
* seconds, factors, rates: one decimal below 100 (two for factors below 10);
* shares: percent, one decimal unless it is 0 (``37.5 %``, ``100 %``);
* counts: whole where they are whole;
* what was not observed: ``–``, never 0.

The decimal sign is always a point, thousands are not grouped, and the locale does not matter.
`number` writes a value without its unit, for a column whose head names the unit. `quantity` writes
it with the unit, for a sentence.
"""

from __future__ import annotations

from voicebench.quoting import one_line as one_line  # noqa: PLC0414 (a form among the others)

NOTHING = "–"
"""Written where there is no value."""

NO_CHANGE = "+0 %"

HALF_PAIRS = "backslashreplace"
"""How to encode half a surrogate pair, which UTF-8 does not have: as JSON's escape.

It comes from a server, or from a byte in a file's name that is not UTF-8 (``\\udce9``).
"""

UNITS = {
    "ms": " ms",
    "s": " s",
    "x": "×",
    "per_s": "/s",
    "count": "",
    "bool": " %",
    "share": " %",
}
"""What follows a number of each unit."""
_MAX_EXTRA_DECIMALS = 3


def number(value: float | None, unit: str) -> str:
    """Return ``value`` without its unit. ``unit`` is a metric's or a gate's: ms, s, x, share, …"""
    return NOTHING if value is None else _number(value, unit, 0)


def quantity(value: float | None, unit: str) -> str:
    """Return ``value`` with its unit."""
    return NOTHING if value is None else number(value, unit) + UNITS[unit]


def span(low: float | None, high: float | None, unit: str) -> str:
    """Return an interval without its unit: ``71.4–88.0``; ``≥ 71.4`` if it has no upper end."""
    if low is None and high is None:
        return NOTHING
    if high is None:
        return f"≥ {number(low, unit)}"
    return f"≤ {number(high, unit)}" if low is None else f"{number(low, unit)}–{number(high, unit)}"


def unit_name(unit: str) -> str:
    """Return ``unit`` for the head of a column: ``ms``, ``×``, ``%``; empty for a count."""
    return UNITS[unit].strip()


def ms(value: float | None) -> str:
    """Return milliseconds, without the unit."""
    return number(value, "ms")


def seconds(value: float | None) -> str:
    """Return seconds with their unit."""
    return quantity(value, "s")


def times(value: float | None) -> str:
    """Return a factor: ``4.0×``."""
    return quantity(value, "x")


def percent(share: float | None) -> str:
    """Return a share of 1 as percent: ``37.5 %``."""
    return quantity(share, "share")


def limit(value: float, unit: str) -> str:
    """Return a limit with its unit, as short as possible: ``3 ms``."""
    exact = _fixed(100 * value if unit in ("share", "bool") else value, _MAX_EXTRA_DECIMALS)
    return _without_zeros(exact) + UNITS[unit]


def change(before: float, after: float) -> str:
    """Return the change from ``before`` to ``after`` in percent, signed and rounded: ``+12 %``.

    A change from 0 has no percentage.
    """
    if before == 0:
        return NO_CHANGE if after == 0 else NOTHING
    return f"{100 * (after - before) / abs(before):+z.0f} %"


def beside(value: float | None, limit: float, unit: str) -> str:
    """Return ``value`` without its unit, with enough decimals to differ from ``limit``.

    300.2 beside a limit of 300 must not be written as 300: the verdict would look wrong.
    """
    if value is None:
        return NOTHING
    extra = 0
    while (
        value != limit
        and extra < _MAX_EXTRA_DECIMALS
        and _number(value, unit, extra) == _number(limit, unit, extra)
    ):
        extra += 1
    return _number(value, unit, extra)


def plural(count: int, noun: str) -> str:
    """Return ``1 turn``, ``2 turns``, for a noun with a plural in s."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _number(value: float, unit: str, extra: int) -> str:
    if unit in ("share", "bool"):
        return _without_zeros(_fixed(100 * value, 1 + extra))
    if unit == "count":
        return _without_zeros(_fixed(value, 1 + extra))
    if unit == "x":
        return _fixed(value, _decimals(value, (10, 2), (100, 1)) + extra)
    return _fixed(value, _decimals(value, (100, 1)) + extra)


def _decimals(value: float, *steps: tuple[float, int]) -> int:
    """Return the decimals of the first (bound, decimals) that the rounded ``value`` stays below.

    So 99.96 is written as 100, not as 100.0.
    """
    return next((places for bound, places in steps if abs(round(value, places)) < bound), 0)


def _fixed(value: float, decimals: int) -> str:
    return f"{value:z.{decimals}f}"


def _without_zeros(digits: str) -> str:
    return digits.rstrip("0").rstrip(".") if "." in digits else digits
