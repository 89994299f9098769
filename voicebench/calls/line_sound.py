"""A line of the caller as frames of 20 ms, with its end known to the sample.

The sound is moved so that its last audible sample is the last one of a frame. So the moment at
which it was spoken is the moment at which it is sent, and nothing of the frame's length is in the
wait for the answer. Silence before and after it is left out: the caller is silent anyway.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voicebench.audio.pcm import AudibleRule, audible_runs, to_int16
from voicebench.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRAMES_PER_S = 50


@dataclass(frozen=True, slots=True, eq=False)
class LineSound:
    """The sound of one step at the agent's rate."""

    frames: NDArray[np.int16]
    """The samples, ``(frames, samples)``."""
    runs: tuple[tuple[int, int], ...]
    """Where the speech is audible, in samples of all frames together: first, and after the last.
    Noise in the background does not count."""

    @property
    def first_frame(self) -> int:
        """The frame that has the first audible sample."""
        return self.runs[0][0] // int(self.frames.shape[1])

    @property
    def last_frame(self) -> int:
        """The frame that has the last audible sample."""
        return (self.runs[-1][1] - 1) // int(self.frames.shape[1])


def line_sound(
    speech: NDArray[np.float32],
    sample_rate: int,
    where: str,
    *,
    sent: NDArray[np.float32] | None = None,
    rule: AudibleRule | None = None,
) -> LineSound:
    """Return ``speech`` (float32 mono, ``(samples,)``) in frames.

    ``sent`` is what is really sent, of the same length: the speech with a background, or after a
    codec. Raises `UsageError` that names ``where`` if nothing is audible.
    """
    found = audible_runs(speech, sample_rate, rule)
    if not found:
        raise UsageError(f"{where}: no sound is audible in it", "give a recording with speech")
    first, after = found[0][0], found[-1][1]
    size = sample_rate // FRAMES_PER_S
    padding = -(after - first) % size
    samples = np.zeros(padding + after - first, dtype=np.float32)
    samples[padding:] = (speech if sent is None else sent)[first:after]
    runs = tuple((begin - first + padding, end - first + padding) for begin, end in found)
    return LineSound(to_int16(samples).reshape(-1, size), runs)
