"""Voice activity: where speech starts and stops in a stream of frames, to the window of 32 ms.

`SpeechProbability` is the model (Silero VAD): a probability of speech for each window of 512
samples. `SpeechEdges` makes starts and stops of the probabilities, with two thresholds, so that a
value near one of them does not flicker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from voicebench.engines.ears import SAMPLE_RATE
from voicebench.engines.ears.ear_models import VOICE_ACTIVITY, onnx_session

if TYPE_CHECKING:
    from numpy.typing import NDArray

WINDOW = 512
"""Samples of a window at 16 kHz: 32 ms. The model takes no other length."""
_CONTEXT = 64
"""Samples of the window before, which the model is given too."""

FORGET_AFTER = 2 * SAMPLE_RATE // WINDOW
"""Windows after which the model's state is cleared in silence: music or long noise leaves it deaf
to the speech behind. Its users at Pipecat measured that, and clear it every two seconds."""
SURELY_SILENT = 0.1
SILENT_WINDOWS = 5


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Speech began at ``sample``, counted from the first sample of the stream."""

    sample: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The last window with speech ended at ``sample``; it has been quiet for a while."""

    sample: int


@dataclass(frozen=True, slots=True)
class EdgeRules:
    """From probabilities to edges: ``starts_at`` and ``stops_at`` are probabilities.

    Speech has started after ``start_windows`` windows at or above ``starts_at``; it has stopped
    after ``stop_windows`` below ``stops_at``.
    """

    starts_at: float = 0.5
    stops_at: float = 0.35
    start_windows: int = 2
    stop_windows: int = 1


class SpeechEdges:
    """Makes `SpeechStarted` and `SpeechStopped` of the probability of each window, in order."""

    def __init__(self, rules: EdgeRules | None = None) -> None:
        self.rules = rules or EdgeRules()
        self.is_speech = False
        self.voiced_until = 0
        """The end of the last window that counts as speech, in samples."""
        self._run = 0
        self._end = 0
        self._newest = 0.0

    @property
    def may_start(self) -> bool:
        """Whether the newest window may be the first one of speech."""
        return not self.is_speech and self._newest >= self.rules.stops_at

    def push(self, probability: float) -> SpeechStarted | SpeechStopped | None:
        """Take the next window's probability, and return the edge that it completes."""
        rules = self.rules
        self._end += WINDOW
        self._newest = probability
        if not self.is_speech:
            self._run = self._run + 1 if probability >= rules.starts_at else 0
            if self._run < rules.start_windows:
                return None
            self.is_speech, self.voiced_until = True, self._end
            began, self._run = self._end - self._run * WINDOW, 0
            return SpeechStarted(began)
        if probability >= rules.stops_at:
            self._run, self.voiced_until = 0, self._end
            return None
        self._run += 1
        if self._run < rules.stop_windows:
            return None
        self.is_speech, self._run = False, 0
        return SpeechStopped(self.voiced_until)


class SpeechProbability:
    """Silero VAD over a stream: the probability that a window has speech.

    Raises as `voicebench.engines.ears.ear_models.onnx_session`.
    """

    def __init__(self, session: Any = None) -> None:
        self._session = onnx_session(VOICE_ACTIVITY) if session is None else session
        self._rate = np.array(SAMPLE_RATE, np.int64)
        self.reset()

    def reset(self) -> None:
        """Forget all that was heard."""
        self._state: NDArray[np.float32] = np.zeros((2, 1, 128), np.float32)
        self._before: NDArray[np.float32] = np.zeros(_CONTEXT, np.float32)
        self._windows = 0
        self._silent = 0

    def of(self, window: NDArray[np.float32]) -> float:
        """Return the probability for the next window, float32 ``(512,)`` in [-1, 1]."""
        given = np.concatenate((self._before, window))[None, :]
        found, self._state = self._session.run(
            None, {"input": given, "state": self._state, "sr": self._rate}
        )
        self._before = window[-_CONTEXT:]
        probability = float(found[0, 0])
        self._windows += 1
        self._silent = self._silent + 1 if probability < SURELY_SILENT else 0
        if self._windows >= FORGET_AFTER and self._silent >= SILENT_WINDOWS:
            self.reset()
        return probability


class VoiceActivity:
    """Frames in, edges out.

    ``probability`` gives a window's probability of speech; None takes Silero VAD.
    """

    def __init__(
        self, probability: SpeechProbability | None = None, rules: EdgeRules | None = None
    ) -> None:
        self._probability = probability or SpeechProbability()
        self.edges = SpeechEdges(rules)
        self._rest: NDArray[np.float32] = np.zeros(0, np.float32)

    @property
    def may_start(self) -> bool:
        """Whether the newest window may be the first one of speech."""
        return self.edges.may_start

    def feed(self, frame: NDArray[np.int16]) -> list[SpeechStarted | SpeechStopped]:
        """Take the next samples, int16 mono ``(n,)`` at 16 kHz, and return the edges in them."""
        heard = np.concatenate((self._rest, frame.astype(np.float32) / np.float32(32768)))
        whole = heard.size // WINDOW * WINDOW
        self._rest = heard[whole:]
        found = (
            self.edges.push(self._probability.of(heard[begin : begin + WINDOW]))
            for begin in range(0, whole, WINDOW)
        )
        return [edge for edge in found if edge is not None]
