"""Rates and times as options name them: ``30/min``, ``4/s``, ``10m``, ``8h``."""

from __future__ import annotations

import re

from voicebench.errors import UsageError

_RATE = re.compile(r"^(?P<number>[0-9]{1,7}(\.[0-9]{1,6})?)\s*/\s*(?P<unit>s|min|h)$")
_TIME = re.compile(r"^(?P<number>[0-9]{1,7}(\.[0-9]{1,6})?)\s*(?P<unit>s|m|min|h)$")
_SECONDS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
MOST_PER_S = 100_000.0


def read_rate(text: str, option: str) -> float:
    """Return the events a second that ``text`` names. Raises `UsageError`."""
    match = _RATE.match(text.strip())
    per_s = float(match["number"]) / _SECONDS[match["unit"]] if match else 0.0
    if not 0 < per_s <= MOST_PER_S:
        raise UsageError(f"{option} {text!r} is not a rate", "write for example '30/min' or '4/s'")
    return per_s


def read_time(text: str, option: str) -> float:
    """Return the seconds that ``text`` names. Raises `UsageError`."""
    match = _TIME.match(text.strip())
    if match is None:
        raise UsageError(f"{option} {text!r} is not a time", "write for example '90s', '10m', '8h'")
    return float(match["number"]) * _SECONDS[match["unit"]]
