"""The duration that a server reports for itself, in the ``Server-Timing`` header.

``Server-Timing: total;dur=123.4;desc="all of it", model;dur=98`` (W3C, "Server Timing", 2023). The
entries may overlap, so they are never added up. The one named *total* is the server's duration,
else the longest one: it contains the others, or is at most the whole.

OpenAI's API has a header of its own, ``openai-processing-ms``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

MAX_ENTRIES = 50
# Parts between commas or semicolons outside of quotes.
_ENTRY = re.compile(r"""(?:[^,"]|"(?:[^"\\]|\\.)*")+""")
_PART = re.compile(r"""(?:[^;"]|"(?:[^"\\]|\\.)*")+""")


def server_duration_ms(headers: Mapping[str, str]) -> float | None:
    """Return the server's duration in ms by ``headers`` (any case), or None."""
    by_name = {name.lower(): value for name, value in headers.items()}
    entries = parse_server_timing(by_name.get("server-timing", ""))
    if entries:
        return entries.get("total", max(entries.values()))
    return _duration(by_name.get("openai-processing-ms", ""))


def parse_server_timing(value: str) -> dict[str, float]:
    """Return the durations in ms by lower-case name, without missing and broken ones.

    A name that comes twice keeps its first duration.
    """
    durations: dict[str, float] = {}
    for match in list(_ENTRY.finditer(value[:8192]))[:MAX_ENTRIES]:
        name, *parameters = (part.strip() for part in _PART.findall(match[0]))
        for parameter in parameters:
            key, _, text = parameter.partition("=")
            duration = _duration(text.strip().strip('"'))
            if name and key.strip().lower() == "dur" and duration is not None:
                durations.setdefault(name.lower(), duration)
    return durations


def _duration(text: str) -> float | None:
    try:
        duration = float(text)
    except ValueError:
        return None
    return duration if math.isfinite(duration) and duration >= 0 else None
