"""Opus as WebRTC carries it: 20 ms of the caller as a packet, and the agent's packets as sound.

There is no jitter buffer. A packet is decoded when it arrives, so its sound has the time at which
it could be played. One that comes after its successor is dropped, as is one that comes twice. The
codec itself delays the sound by its lookahead, which a person on the line hears too.

(Format: RFC 7587: Opus in RTP has a clock of 48 kHz.)
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from av import AudioFrame, CodecContext, Packet
from av.error import FFmpegError

from voicebench.audio.pcm import from_int16

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE = 48_000
LOOKAHEAD_MS = 6.5
"""The encoder's delay: 312 samples."""
BITS_PER_S = 48_000
INAUDIBLE = 0.01
"""A frame with no larger sample is silence to every listener of ours."""
MOST_AHEAD_MS = 2000.0
"""A receiver keeps no more sound than this; WebRTC sends in real time."""
_TIME_BASE = Fraction(1, RATE)


class OpusEncoder:
    """Makes packets of frames of 20 ms."""

    def __init__(self) -> None:
        self._codec = CodecContext.create("libopus", "w")
        self._codec.bit_rate = BITS_PER_S
        self._codec.format = "s16"
        self._codec.layout = "mono"
        self._codec.sample_rate = RATE
        self._codec.time_base = _TIME_BASE
        self._codec.options = {"application": "voip"}
        self._sent = 0

    def packets(self, samples: NDArray[np.int16]) -> list[Packet[Any]]:
        """Return the packet of 960 samples at 48 kHz, int16 mono."""
        frame = AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate = RATE
        frame.pts = self._sent
        made = []
        for encoded in self._codec.encode(frame):
            packet = Packet(bytes(encoded))
            packet.pts = self._sent
            packet.time_base = _TIME_BASE
            made.append(packet)
        self._sent += samples.size
        return made


class OpusSound:
    """Makes sound of the packets of one stream, in order."""

    def __init__(self) -> None:
        self._codec = CodecContext.create("libopus", "r")
        self._codec.format = "s16"
        self._codec.layout = "mono"
        self._codec.sample_rate = RATE
        self._last: int | None = None
        self._played_until_ms = 0.0

    def take(self, sequence: int, content: bytes, arrived_ms: float) -> NDArray[np.float32]:
        """Return the sound of a packet, float32 mono at 48 kHz, ``(samples,)``; maybe empty.

        ``sequence`` is its number, which counts to 65,535 and begins anew, and ``arrived_ms`` a
        time of any clock. Raises `ValueError` for a packet that is no Opus, and for sound that
        comes faster than real time.

        The stream has silence between the answers, too. A listener who fell behind because a packet
        was late catches up there, as every receiver does: silence is cut by as much as he is late.
        """
        if self._last is not None and (sequence - self._last - 1) % 65_536 >= 32_768:
            return np.zeros(0, dtype=np.float32)
        self._last = sequence
        pcm = self._decoded(content)
        start_ms = max(self._played_until_ms, arrived_ms)
        if pcm.size and float(np.max(np.abs(pcm))) < INAUDIBLE:
            late = round((start_ms - arrived_ms) * RATE / 1000)
            pcm = pcm[: max(0, pcm.size - late)]
        self._played_until_ms = start_ms + 1000 * pcm.size / RATE
        if start_ms - arrived_ms > MOST_AHEAD_MS:
            raise ValueError(
                f"sends its sound faster than real time: {MOST_AHEAD_MS / 1000:g} s ahead"
            )
        return pcm

    def _decoded(self, content: bytes) -> NDArray[np.float32]:
        if not content:
            return np.zeros(0, dtype=np.float32)
        try:
            frames = self._codec.decode(Packet(content))
        except FFmpegError:
            raise ValueError("sends a packet that is not Opus") from None
        parts = [frame.to_ndarray().reshape(-1).astype(np.int16) for frame in frames]
        return from_int16(np.concatenate(parts) if parts else np.zeros(0, dtype=np.int16))
