"""The instrument's own error in process: recorded times minus scripted times.

A simulated target plays a script of short delays on the real clock, and every stamp of the recorded
timeline is compared with the script. The difference is the error of voicebench on this machine at
this moment: a late wake-up, a busy interpreter, a coarse clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from voicebench.audio.pcm import AudibleRule
from voicebench.figures.summary import carries, percentile
from voicebench.targets.script import Script
from voicebench.targets.simulated import Simulated, VirtualClock
from voicebench.turn.playback import Arrival
from voicebench.turn.recorder import Recorder
from voicebench.turn.timeline import TimedText, Timeline

SCRIPT = Script(ttft_s=0.010, token_s=0.002, ttfb_s=0.005, speed_x=50.0, words=12)
DEFAULT_TURNS = 20
QUICK_TURNS = 1
"""Enough for the figure that is stored with every result: fifty stamps, in a tenth of a second."""
QUICK_TURNS_OVER_THE_WIRE = 3
QUICK_TURNS_BESIDE_AN_ENGINE = 10
"""More turns, because client and engine compete for a core only now and then."""


@dataclass(frozen=True, slots=True)
class InstrumentError:
    """The distribution of |recorded - scripted| over all stamps, in milliseconds.

    Too few stamps have no 95th percentile: then ``p95_ms`` is the largest.
    """

    transport: str
    stamps: int
    p50_ms: float
    p95_ms: float
    max_ms: float

    @property
    def has_p95(self) -> bool:
        """Whether the stamps are enough for a 95th percentile."""
        return carries(self.stamps, 95)

    def keeps(self, limit_ms: float) -> bool:
        """Return whether the 95th percentile is under ``limit_ms``."""
        return self.p95_ms < limit_ms

    def as_dict(self) -> dict[str, object]:
        """Return the figures that are stored with a result."""
        return asdict(self)


def measure_in_process(turns: int = DEFAULT_TURNS, script: Script = SCRIPT) -> InstrumentError:
    """Play ``script`` on the real clock ``turns`` times, and compare the stamps."""
    scripted = _record(Simulated(script, VirtualClock()))
    errors: list[float] = []
    target = Simulated(script)
    for _ in range(turns):
        errors += stamp_errors_ms(_record(target), scripted)
    return summarize_errors("in process", errors)


def stamp_errors_ms(recorded: Timeline, scripted: Timeline) -> list[float]:
    """Return recorded minus scripted for every token, chunk and piece of audio."""
    pairs: list[tuple[TimedText | Arrival, TimedText | Arrival]] = [
        *zip(recorded.tokens, scripted.tokens, strict=True),
        *zip(recorded.chunks, scripted.chunks, strict=True),
        *zip(recorded.audio, scripted.audio, strict=True),
    ]
    return [(ours.at_ns - theirs.at_ns) / 1e6 for ours, theirs in pairs]


def summarize_errors(transport: str, errors_ms: Sequence[float]) -> InstrumentError:
    """Return the distribution of the errors' sizes."""
    sizes = [abs(error) for error in errors_ms]
    largest = max(sizes)
    p95 = percentile(sizes, 95) if carries(len(sizes), 95) else largest
    return InstrumentError(transport, len(sizes), percentile(sizes, 50), p95, largest)


def _record(target: Simulated) -> Timeline:
    recorder = Recorder(target.clock.now_ns)
    target.run("selftest", recorder.emit)
    return recorder.seal(1, "measured", AudibleRule()).timeline
