"""The draws of a plan: numbers between 0 and 1 that depend only on (seed, caller, call, turn).

Each turn of each call has its own numbers, one for each purpose. They are the digest of the key by
BLAKE2b, so that no order of asking, no number of callers and no machine changes them. Two levels of
one seed meet the same callers, and so do both sides of a comparison.
"""

from __future__ import annotations

import struct
from hashlib import blake2b
from typing import NamedTuple

_KEY = struct.Struct("<4q")
_NUMBERS = struct.Struct("<6Q")
_TO_UNIT = 2.0**-53
ARRIVALS = -1
"""The caller whose draws are the gaps between arrivals."""


class Draws(NamedTuple):
    """Independent numbers of one turn, each above 0 and below 1."""

    think: float
    speech: float
    prompt: float
    length: float
    """The number of turns of the call; only its first turn uses it."""
    age: float
    """The part of a pause or a call that was over when the level began."""
    service: float
    """The time in the slot of a simulated server."""


def draws_of(seed: int, caller: int, call: int, turn: int) -> Draws:
    """Return the draws of a turn. ``seed`` is any whole number of 63 bits."""
    digest = blake2b(_KEY.pack(seed, caller, call, turn), digest_size=48).digest()
    return Draws(*[((word >> 11) + 0.5) * _TO_UNIT for word in _NUMBERS.unpack(digest)])


def derived_seed(seed: int, purpose: str, number: int = 0) -> int:
    """Return another seed for a purpose, for example a confirmation on fresh callers."""
    text = f"{seed} {purpose} {number}".encode()
    return int.from_bytes(blake2b(text, digest_size=7).digest(), "little")
