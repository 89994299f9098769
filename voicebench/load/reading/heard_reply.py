"""Until when the caller of a turn listened to the reply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from voicebench.turn.playback import Arrival, listen


class Heard(NamedTuple):
    """Until when a caller listened to a reply, on the recorder's clock."""

    until_ns: int
    cut: bool = False
    """Whether the caller interrupted it then."""


def heard_reply(
    sound: Sequence[Arrival],
    sample_rate: int,
    ended_ns: int,
    cut_ns: int | None,
    cut_after_ns: int | None,
) -> Heard:
    """Return until when a reply was heard that did not fail.

    ``sound`` is not empty, and in order of time. ``cut_ns`` is when the turn was interrupted, None
    if it was not; ``cut_after_ns`` is how long after first audio the plan wants that.
    """
    played_ns = round(listen(sound, sample_rate).end_ns)
    if cut_ns is None and cut_after_ns is not None:
        # The whole reply may have come before the caller interrupts it.
        planned_ns = sound[0].at_ns + cut_after_ns
        cut_ns = planned_ns if planned_ns < played_ns else None
    if cut_ns is not None:
        return Heard(cut_ns, cut=True)
    return Heard(max(played_ns, ended_ns))
