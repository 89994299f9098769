"""Faults of the network that are made on purpose: which turns meet one, and of what kind.

Written as shares of the turns: ``reset=1%,slow=2%,stall=1%``, with a time where one is needed:
``slow=2%:400ms``.

=========  ========================================================================
``reset``  the connection is reset
``slow``   the answer's next bytes are held back for 400 ms (or the time given)
``stall``  the same for 2 s, longer than what a listener has in hand
=========  ========================================================================

Which turns meet a fault is drawn from (seed, caller, call, turn), so it depends on nothing that the
server does, and each of these turns is known beforehand. They are marked, and count for no gate.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal, get_args

from voicebench.errors import UsageError

FaultKind = Literal["reset", "slow", "stall"]
KINDS: tuple[FaultKind, ...] = get_args(FaultKind)
_HELD_S: dict[FaultKind, float] = {"reset": 0.0, "slow": 0.4, "stall": 2.0}
LONGEST_S = 60.0
_PART = re.compile(
    r"^(?P<kind>[a-z]+)=(?P<share>[0-9]{1,3}(\.[0-9]{1,4})?)%"
    r"(:(?P<time>[0-9]{1,5}(\.[0-9]{1,3})?)(?P<unit>ms|s))?$"
)
_EXAMPLE = "write for example 'reset=1%,slow=2%:400ms,stall=1%:2s'"
_KEY = struct.Struct("<4q")
_ONE = struct.Struct("<Q")


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """A kind of fault: the share of the turns that meet it, and its time in seconds."""

    kind: FaultKind
    share: float
    held_s: float


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """All kinds of faults of a level. A turn meets one of them at most."""

    faults: tuple[PlannedFault, ...]

    def drawn(self, seed: int, caller: int, call: int, turn: int) -> PlannedFault | None:
        """Return the fault that a turn meets; None for most turns."""
        key = _KEY.pack(seed, caller, call, turn)
        (word,) = _ONE.unpack(blake2b(key, digest_size=8, person=b"fault").digest())
        at = ((word >> 11) + 0.5) * 2.0**-53
        for fault in self.faults:
            if at < fault.share:
                return fault
            at -= fault.share
        return None


def read_faults(text: str, name: str) -> FaultPlan:
    """Read ``reset=1%,slow=2%:400ms,stall=1%``. Raises `UsageError`, which calls it ``name``."""
    faults = [_read_part(part.strip(), name) for part in text.split(",")]
    kinds = [fault.kind for fault in faults]
    if len(set(kinds)) < len(kinds):
        raise UsageError(f"{name} names a kind of fault twice: {text!r}", _EXAMPLE)
    if sum(fault.share for fault in faults) > 1:
        raise UsageError(f"{name} has more than 100 % of faults: {text!r}", _EXAMPLE)
    return FaultPlan(tuple(faults))


def _read_part(part: str, name: str) -> PlannedFault:
    match = _PART.match(part)
    kind = next((kind for kind in KINDS if match and match["kind"] == kind), None)
    if match is None or kind is None or (kind == "reset" and match["time"]):
        raise UsageError(f"{name} has an unknown part {part!r}", _EXAMPLE)
    share, held_s = float(match["share"]) / 100, _HELD_S[kind]
    if match["time"]:
        held_s = float(match["time"]) * (0.001 if match["unit"] == "ms" else 1.0)
    if not 0 < share <= 1 or held_s > LONGEST_S:
        raise UsageError(
            f"{name} has {part!r}, and a share is above 0 and at most 100 %, a time at most "
            f"{LONGEST_S:.0f} s",
            _EXAMPLE,
        )
    return PlannedFault(kind, share, held_s)
