"""Barge-in: which turns the caller interrupts, and at which moment after first audio.

Written as a share and a distribution of moments: ``20% exp:1.5s`` interrupts a fifth of the turns,
1.5 seconds after first audio in the mean. Both are drawn from (seed, caller, call, turn), so they
depend on nothing that the server does. A reply that is heard out before its moment is a full turn.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from hashlib import blake2b

from voicebench.errors import UsageError
from voicebench.load.distributions import DURATIONS, DurationDistribution, read_duration

_SHARE = re.compile(r"^(?P<number>[0-9]{1,3}(\.[0-9]{1,4})?)%$")
_KEY = struct.Struct("<4q")
_TWO = struct.Struct("<2Q")
_TO_UNIT = 2.0**-53


@dataclass(frozen=True, slots=True)
class Interruption:
    """How often callers interrupt, and when."""

    share: float
    """Share of the turns, above 0 and at most 1."""
    moment: DurationDistribution
    """From first audio to the interruption."""

    def drawn(self, seed: int, caller: int, call: int, turn: int) -> float | None:
        """Return the moment of a turn, in seconds after first audio; None if it is heard out."""
        key = _KEY.pack(seed, caller, call, turn)
        digest = blake2b(key, digest_size=16, person=b"interrupt").digest()
        chosen, at = (((word >> 11) + 0.5) * _TO_UNIT for word in _TWO.unpack(digest))
        return self.moment.draw(at) if chosen < self.share else None


def read_interruption(text: str, name: str) -> Interruption:
    """Read ``20% exp:1.5s``. Raises `UsageError`, which calls the text ``name``."""
    share, _, moment = text.strip().partition(" ")
    match = _SHARE.match(share)
    value = float(match["number"]) / 100 if match else 0.0
    if not 0 < value <= 1:
        raise UsageError(
            f"{name} is {text!r}, and begins with no share of 0.0001% to 100%",
            "write for example '20% exp:1.5s': the share, and the moment after first audio; "
            + DURATIONS,
        )
    return Interruption(value, read_duration(moment.strip(), name))
