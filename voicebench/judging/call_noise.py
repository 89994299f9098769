"""Finds out whether the caller spoke in time: his frames have to leave every 20 ms.

A late frame does not move a figure, because its real stamp counts. But an agent hears a gap where
the script has none, and may take it for a pause; and its sound is stamped late. The worst frame of
each turn is looked at. In the median turn more than `NAMED_MS` is named, and more than `INVALID_MS`
*invalidates* the run. So do more than `MOST_HELD_UP` of the turns with a frame later than a pause.
"""

from __future__ import annotations

import numpy as np

from voicebench.figures.columns import Columns
from voicebench.judging.noise import Noise

NAMED_MS = 20.0
INVALID_MS = 60.0
PAUSE_MS = 200.0
"""A gap of this length is a pause to an agent: the shortest silence that ends a turn."""
MOST_HELD_UP = 0.01


def find_call_noise(columns: Columns) -> list[Noise]:
    """Return the finding on the measured turns in ``columns``, if there is one."""
    late = columns.traits["caller_late"]
    known = late[~np.isnan(late)]
    if not known.size:
        return []
    middle = float(np.median(known))
    held_up = int(np.count_nonzero(known > PAUSE_MS))
    if held_up > MOST_HELD_UP * known.size and middle <= INVALID_MS:
        found = (
            f"in {held_up} of {known.size} turns a frame of the caller left more than "
            f"{PAUSE_MS:.0f} ms late, {known.max():.0f} ms at worst"
        )
        return [_finding(found, invalidates=True)]
    if middle <= NAMED_MS:
        return []
    found = f"in the median turn a frame of the caller left {middle:.0f} ms late"
    return [_finding(found, invalidates=middle > INVALID_MS)]


def _finding(found: str, *, invalidates: bool) -> Noise:
    remedy = "stop what else runs, or call an agent on another machine"
    return Noise("late caller", found, remedy, invalidates=invalidates)
