"""Finds out whether the caller spoke in time: his frames have to leave every 20 ms.

A late frame does not move a figure, because its real stamp counts. But an agent hears a gap where
the script has none, and may take it for a pause. The worst frame of each turn is looked at. In the
median turn more than `NAMED_MS` is named, and more than `INVALID_MS` *invalidates* the run.
"""

from __future__ import annotations

import numpy as np

from voicebench.figures.columns import Columns
from voicebench.judging.noise import Noise

NAMED_MS = 20.0
INVALID_MS = 60.0


def find_call_noise(columns: Columns) -> list[Noise]:
    """Return the finding on the measured turns in ``columns``, if there is one."""
    late = columns.values["caller_late_ms"]
    known = late[~np.isnan(late)]
    if not known.size or (middle := float(np.median(known))) <= NAMED_MS:
        return []
    return [
        Noise(
            "late caller",
            f"in the median turn a frame of the caller left {middle:.0f} ms late",
            "stop what else runs, or call an agent on another machine",
            invalidates=middle > INVALID_MS,
        )
    ]
