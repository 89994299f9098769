"""The agent as the caller hears it: its sound, played by a listener who plays at once.

Sound is played in order, each piece when it arrives or when the one before it has ended
(`voicebench.turn.playback`). A clear drops what was not played by then: the piece that is playing
is cut. After it the listener begins anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voicebench.calls.agent_events import AgentAudio, AgentCleared, AgentEvent
from voicebench.turn.playback import NS_PER_S, Arrival, Stall, listen

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class StampedAgentEvent:
    """An event of the agent, and when it was emitted: nanoseconds on the call's clock."""

    at_ns: int
    event: AgentEvent
    lag_ns: int | None = None
    """How long its bytes lay in this machine before it was emitted; None if nobody can tell."""


@dataclass(frozen=True, slots=True, eq=False)
class HeardTrack:
    """The agent's side of a call as it is heard, from the beginning of the call's clock."""

    pcm: NDArray[np.float32]
    """float32 mono, ``(samples,)``."""
    sample_rate: int
    stalls: tuple[Stall, ...]
    """Where the listener waited for sound that came late."""


def heard_track(
    events: Sequence[StampedAgentEvent], until_ns: int, sample_rate: int = 16_000
) -> HeardTrack:
    """Return what is heard until ``until_ns``.

    ``sample_rate`` is that of the track if the agent sent no sound. Sound at another rate than the
    first piece is left out (it fails the call).
    """
    rate = next((one.event.sample_rate for one in events if _is_audio(one)), sample_rate)  # type: ignore[union-attr]
    pcm = np.zeros(round(until_ns * rate / NS_PER_S), dtype=np.float32)
    stalls: list[Stall] = []
    for pieces, cleared_ns in _epochs(events, rate):
        end = pcm.size if cleared_ns is None else min(pcm.size, round(cleared_ns * rate / NS_PER_S))
        arrivals = tuple(Arrival(at_ns, samples.size) for at_ns, samples in pieces)
        listening = listen(arrivals, rate)
        stalls += listening.stalls
        for (_, samples), start_ns in zip(pieces, listening.played_from_ns, strict=True):
            start = round(start_ns * rate / NS_PER_S)
            part = samples[: max(0, end - start)]
            pcm[start : start + part.size] = part
    return HeardTrack(pcm, rate, tuple(stalls))


def _epochs(
    events: Sequence[StampedAgentEvent], rate: int
) -> Iterator[tuple[list[tuple[int, NDArray[np.float32]]], int | None]]:
    """Yield the sound between two clears, and the clear that ends it."""
    pieces: list[tuple[int, NDArray[np.float32]]] = []
    for stamped in events:
        match stamped.event:
            case AgentAudio(pcm, sample_rate) if sample_rate == rate and pcm.size:
                pieces.append((stamped.at_ns, pcm))
            case AgentCleared():
                yield pieces, stamped.at_ns
                pieces = []
            case _:
                pass
    yield pieces, None


def _is_audio(stamped: StampedAgentEvent) -> bool:
    return isinstance(stamped.event, AgentAudio)
