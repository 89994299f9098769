"""A recorded call on its way to the sealing process, with all its sound in one array.

A call has a hundred pieces of sound and a thousand moments. As single objects they take a
millisecond to be packed for the pipe, in which the thread that drives all calls has to wait: Python
packs without giving its lock away.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from voicebench.calls.agent_events import AgentAudio
from voicebench.calls.heard import StampedAgentEvent
from voicebench.calls.line_sound import LineSound
from voicebench.calls.recorded_call import RecordedCall

UNKNOWN = -1


@dataclass(frozen=True, slots=True, eq=False)
class PackedCall:
    """A `RecordedCall` without the sounds of its lines, which are known where it goes."""

    call: RecordedCall
    """With the events that are no sound."""
    sent_ns: NDArray[np.int64]
    pieces: NDArray[np.int64]
    """For each piece of sound its place among all events, its moment, its lag, its samples and its
    sample rate: shape ``(pieces, 5)``."""
    pcm: NDArray[np.float32]
    """Shape ``(samples,)``."""

    @classmethod
    def of(cls, call: RecordedCall) -> PackedCall:
        """Pack a call."""
        others: list[StampedAgentEvent] = []
        pieces: list[tuple[int, int, int, int, int]] = []
        pcm: list[NDArray[np.float32]] = []
        for place, stamped in enumerate(call.events):
            event, lag_ns = stamped.event, stamped.lag_ns
            if isinstance(event, AgentAudio):
                lag_ns = UNKNOWN if lag_ns is None else lag_ns
                pieces.append((place, stamped.at_ns, lag_ns, event.pcm.size, event.sample_rate))
                pcm.append(event.pcm)
            else:
                others.append(stamped)
        return cls(
            replace(call, sounds=(), sent_ns=(), events=tuple(others)),
            np.array(call.sent_ns, dtype=np.int64),
            np.array(pieces, dtype=np.int64).reshape(-1, 5),
            np.concatenate(pcm) if pcm else np.zeros(0, dtype=np.float32),
        )

    def unpacked(self, sounds: tuple[LineSound, ...]) -> RecordedCall:
        """Return the call as it was, with the sounds of its lines."""
        events: list[StampedAgentEvent | None] = [None] * (
            len(self.call.events) + self.pieces.shape[0]
        )
        for place, stamped in self._sounds():
            events[place] = stamped
        others = iter(self.call.events)
        return replace(
            self.call,
            sounds=sounds,
            sent_ns=tuple(self.sent_ns.tolist()),
            events=tuple(one or next(others) for one in events),
        )

    def _sounds(self) -> Iterator[tuple[int, StampedAgentEvent]]:
        begin = 0
        for place, at_ns, lag_ns, samples, rate in self.pieces.tolist():
            sound = AgentAudio(self.pcm[begin : begin + samples], rate)
            yield place, StampedAgentEvent(at_ns, sound, None if lag_ns == UNKNOWN else lag_ns)
            begin += samples
