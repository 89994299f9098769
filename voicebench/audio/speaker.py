"""The loudspeaker: plays speech while it is being synthesized.

PortAudio calls back from its own thread whenever the device needs a block of samples. The stream is
opened, and gets silence, *before* the turn begins, so that opening a device is not in any figure.

Buffers and converters delay what the platform gets. With every block PortAudio says at which moment
of the device's clock its first sample will leave the digital-to-analogue converter (DAC). That
moment minus now, for the block with the first sample of speech, is ``delay_ms`` of the event
`voicebench.events.SpeakerStarted`.

There are two kinds of holes: *device underruns*, where PortAudio's callback came too late, and
*gaps*, where it came in time but the synthesizer had not made the samples yet.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from voicebench.audio.loudspeakers import WRITE_A_FILE, find_speaker, portaudio, quiet_stderr
from voicebench.audio.playout import Playout
from voicebench.errors import DeviceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

LATENCY_S = 0.05
"""Buffer of the device: long enough for a Python thread on a busy machine."""
MAX_WAITING_S = 120.0
"""How much speech may wait for the loudspeaker before the synthesizer has to wait."""
STUCK_AFTER_S = 5.0
"""Give up after this long without the device taking a sample."""


@dataclass(frozen=True, slots=True)
class Played:
    """The sound that a listener heard."""

    speaker: str
    sample_rate: int
    """The rate of the device's stream, in Hz."""
    audio_s: float
    delay_ms: float | None
    """From the callback that took the first sample to its DAC time; None if none was taken."""
    device_underruns: int
    gaps: int
    gap_ms: float


class Speaker:
    """An open loudspeaker, silent until the first samples arrive.

    ``preferred_rate`` is the expected rate of the speech. If the device does not support it, the
    stream has the device's own rate, and speech is resampled. ``on_start(delay_ms)`` is called
    once, from the sound device's thread, when it takes the first sample; it must return at once.
    Leaving the ``with`` block without `finish` stops the sound at once.
    """

    def __init__(
        self,
        wanted: str | None = None,
        *,
        preferred_rate: int | None = None,
        on_start: Callable[[float], None] | None = None,
        latency_s: float = LATENCY_S,
    ) -> None:
        """Open the loudspeaker. Raises `DeviceError`."""
        self.device = find_speaker(wanted)
        self._sounddevice = portaudio()
        self.started = threading.Event()
        """Set once the device has taken the first sample, after ``on_start`` has returned."""
        self._on_start = on_start
        self._delay_ms: float | None = None
        self._underruns = 0
        self._heard_at: float | None = None  # when the last sample is heard, on the stream's clock
        self._over = threading.Event()
        self._defect: BaseException | None = None
        self._resampler: tuple[int, Any] | None = None
        self._closing = threading.Lock()
        self._closed = False
        self._stopped = False
        with quiet_stderr():
            self._stream = self._open(preferred_rate, latency_s)
        self.sample_rate = int(self._stream.samplerate)
        self._playout = Playout(int(MAX_WAITING_S * self.sample_rate))
        try:
            with quiet_stderr():
                self._stream.start()
        except self._sounddevice.PortAudioError as error:
            self._stream.close()
            raise self._broken(f"cannot be used: {error}") from None

    def play(self, pcm: NDArray[np.float32], sample_rate: int) -> None:
        """Play ``pcm`` (mono, full scale ±1) after the samples given before.

        Returns at once unless `MAX_WAITING_S` of speech wait. Raises `DeviceError` if the device
        has stopped taking samples.
        """
        self._put(self._resampled(pcm, sample_rate, last=False))

    def finish(self) -> None:
        """Wait until the last sample has left the device, or `stop` was called.

        Raises `DeviceError` if the device has stopped taking samples.
        """
        if self._resampler is not None:
            rate, _ = self._resampler
            self._put(self._resampled(np.zeros(0, dtype=np.float32), rate, last=True))
        self._playout.close()
        self._wait(self._over.wait)
        if self._defect is not None:
            raise self._defect
        if self._stopped:
            return
        if self._heard_at is None:
            raise self._broken("stopped taking samples")
        self._close(at_once=False)

    def stop(self) -> None:
        """Stop the sound at once, drop waiting samples, and close. Any thread may call it."""
        self._stopped = True
        self._playout.clear()
        self._over.set()
        self._close(at_once=True)

    def report(self) -> Played:
        """Return what was played so far."""
        rate = self.sample_rate
        return Played(
            speaker=self.device.name,
            sample_rate=rate,
            audio_s=self._playout.taken / rate,
            delay_ms=self._delay_ms,
            device_underruns=self._underruns,
            gaps=self._playout.gaps,
            gap_ms=1000 * self._playout.gap_samples / rate,
        )

    def __enter__(self) -> Speaker:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def _open(self, preferred_rate: int | None, latency_s: float) -> Any:
        """Open the stream with the first rate and number of channels that the device accepts."""
        own, refusal = self.device.sample_rate, None
        for rate in dict.fromkeys((preferred_rate or own, own)):
            for channels in dict.fromkeys((1, min(2, self.device.channels))):
                try:
                    return self._sounddevice.OutputStream(
                        samplerate=rate,
                        channels=channels,
                        dtype="float32",
                        device=self.device.index,
                        latency=latency_s,
                        callback=self._take_block,
                        finished_callback=self._over_now,
                    )
                except self._sounddevice.PortAudioError as error:
                    refusal = error
        assert refusal is not None
        raise self._broken(f"cannot be used: {refusal}") from None

    def _take_block(
        self, block: NDArray[np.float32], _frames: int, moment: Any, status: Any
    ) -> None:
        """Fill one block; called by PortAudio from its own thread, ``block`` (frames, channels)."""
        try:
            filled = self._playout.fill(block[:, 0])
            block[:, 1:] = block[:, :1]
            if status.output_underflow and self._delay_ms is not None and self._heard_at is None:
                self._underruns += 1
            delay_s = moment.outputBufferDacTime - moment.currentTime
            if moment.outputBufferDacTime <= 0 or not 0 <= delay_s < STUCK_AFTER_S:
                delay_s = self._stream.latency  # this host API has no DAC time
            if filled.samples and self._delay_ms is None:
                self._delay_ms = 1000 * delay_s
                if self._on_start is not None:
                    self._on_start(self._delay_ms)
                self.started.set()
            if filled.is_last and self._heard_at is None:
                heard = delay_s + filled.samples / self.sample_rate
                self._heard_at = moment.currentTime + heard
        except BaseException as defect:
            self._defect = defect
            raise self._sounddevice.CallbackAbort from None
        if self._heard_at is not None and moment.currentTime >= self._heard_at:
            self._over.set()

    def _over_now(self) -> None:
        """Wake `finish`; PortAudio calls this when the stream has stopped."""
        self._over.set()

    def _put(self, pcm: NDArray[np.float32]) -> None:
        self._wait(lambda timeout_s: self._playout.put(pcm, timeout_s))

    def _wait(self, is_done: Callable[[float], bool]) -> None:
        """Call ``is_done(timeout_s)`` until it is true, as long as the device takes samples."""
        taken = -1
        while not is_done(STUCK_AFTER_S):
            if taken == self._playout.taken:
                raise self._broken("stopped taking samples")
            taken = self._playout.taken

    def _resampled(
        self, pcm: NDArray[np.float32], sample_rate: int, *, last: bool
    ) -> NDArray[np.float32]:
        if sample_rate == self.sample_rate:
            return pcm
        import soxr

        if self._resampler is None:
            stream = soxr.ResampleStream(sample_rate, self.sample_rate, 1, dtype="float32")
            self._resampler = (sample_rate, stream)
        rate, stream = self._resampler
        if rate != sample_rate:
            raise DeviceError(f"the speech changes from {rate} to {sample_rate} Hz")
        resampled: NDArray[np.float32] = stream.resample_chunk(pcm, last=last)
        return resampled

    def _close(self, *, at_once: bool) -> None:
        with self._closing:
            if self._closed:
                return
            self._closed = True
            with quiet_stderr(), contextlib.suppress(self._sounddevice.PortAudioError):
                self._stream.abort() if at_once else self._stream.stop()
                self._stream.close()

    def _broken(self, how: str) -> DeviceError:
        return DeviceError(
            f"the sound device {self.device.name!r} {how}",
            f"choose another with --speaker (see --list-speakers), or {WRITE_A_FILE}",
        )
