"""The script of a simulated target: every delay of a turn, read from and written as one line."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

from voicebench.errors import UsageError
from voicebench.load.distributions import DurationDistribution, read_duration

PREFIX = "sim:"


@dataclass(frozen=True, slots=True)
class Script:
    """The delays of one simulated turn.

    ``ttft_s`` turn start to first token; ``token_s`` between tokens; ``ttfb_s`` chunk handed over
    to first samples; ``speed_x`` audio seconds per second of synthesis; ``silence_s`` at the head
    of the reply's audio; ``words`` of the reply (one token each); every ``fail``-th turn fails
    after its first token (0: none); ``history_s`` by which each earlier turn of the conversation
    delays the first token, as if the history was computed again; ``stop_s`` for which it goes on
    after it was asked to stop; ``leak_s`` by which every turn that was served delays the first
    token of all later ones.

    The server has ``slots`` turns at once (0: any number); further turns wait, first come first
    served. A turn holds its slot for a ``service`` time, and then its reply begins with the delays
    above. Only `load` and `capacity` take several turns at once.
    """

    ttft_s: float = 0.120
    token_s: float = 0.008
    ttfb_s: float = 0.070
    speed_x: float = 4.0
    silence_s: float = 0.0
    words: int = 16
    fail: int = 0
    history_s: float = 0.0
    slots: int = 0
    service: str = "0s"
    """A distribution of durations (`voicebench.load.distributions`): ``exp:1.2s``."""
    stop_s: float = 0.0
    leak_s: float = 0.0

    @property
    def service_time(self) -> DurationDistribution:
        """The distribution of the time in a slot."""
        return read_duration(self.service, "service")


_KEYS = {field.name.split("_")[0]: field.name for field in fields(Script)}
_DURATION = re.compile(r"^(?P<number>[0-9]+(\.[0-9]+)?)(?P<unit>ms|s)$")
_SPEED = re.compile(r"^(?P<number>[0-9]+(\.[0-9]+)?)x?$")
_COUNT = re.compile(r"^[0-9]{1,6}$")
_MAX_DURATION_S = 60.0
_MAX_WORDS = 1000


def parse_script(text: str) -> Script:
    """Read ``sim:key=value,…``. Raises `UsageError`, naming the key and what is allowed."""
    values: dict[str, float | int | str] = {}
    for item in filter(None, (part.strip() for part in text.removeprefix(PREFIX).split(","))):
        key, separator, value = item.partition("=")
        if not separator or key not in _KEYS:
            raise UsageError(
                f"simulated target {text!r} has an unknown part {item!r}",
                f"use {', '.join(f'{known}=…' for known in _KEYS)}",
            )
        values[_KEYS[key]] = _parse_value(key, value, text)
    return Script(**values)  # type: ignore[arg-type]


def _parse_value(key: str, value: str, text: str) -> float | int | str:
    if key == "service":
        read_duration(value, f"simulated target {text!r}: service")
        return value
    if key in ("words", "fail", "slots"):
        if _COUNT.match(value) and (key != "words" or 1 <= int(value) <= _MAX_WORDS):
            return int(value)
        raise UsageError(
            f"{key}={value} in {text!r} is not a count", "write for example 'words=12'"
        )
    if key == "speed":
        if (match := _SPEED.match(value)) and 0.01 <= float(match["number"]) <= 10_000:
            return float(match["number"])
        raise UsageError(
            f"speed={value} in {text!r} is not a speed of 0.01x to 10000x",
            "write for example 'speed=4x'",
        )
    match = _DURATION.match(value)
    seconds = float(match["number"]) * (0.001 if match["unit"] == "ms" else 1.0) if match else -1.0
    if not 0 <= seconds <= _MAX_DURATION_S:
        raise UsageError(
            f"{key}={value} in {text!r} is not a duration of 0 to {_MAX_DURATION_S:.0f} s",
            f"write for example '{key}=70ms'",
        )
    return seconds


def script_text(script: Script) -> str:
    """Return ``script`` as `parse_script` reads it."""
    parts = []
    for field in fields(Script):
        key, _, unit = field.name.partition("_")
        parts.append(f"{key}={getattr(script, field.name)}{unit}")
    return PREFIX + ",".join(parts)
