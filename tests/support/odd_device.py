"""A sound library of one device that misbehaves, and takes samples only when it is told to."""

from __future__ import annotations

import contextlib
import itertools
import sys
import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

BLOCK = 100
PAUSE_S = 1e-4
"""Between two blocks: far faster than a real device, and others get their turn."""


class PortAudioError(Exception):
    pass


class CallbackAbort(Exception):
    pass


@dataclass
class OddDevice:
    """A device that accepts one format only, and takes blocks when it is told to."""

    rate: int = 8000
    channels: int = 1
    latency: float = 0.02
    dac_offset: float = 0.02
    heard: list[NDArray[np.float32]] = field(default_factory=list)
    wanted: dict[str, Any] = field(default_factory=dict)
    runner: threading.Thread | None = None
    stopping: threading.Event = field(default_factory=threading.Event)

    def module(self) -> SimpleNamespace:
        info = {
            "name": "odd",
            "hostapi": 0,
            "max_output_channels": self.channels,
            "default_samplerate": float(self.rate),
        }
        return SimpleNamespace(
            PortAudioError=PortAudioError,
            CallbackAbort=CallbackAbort,
            OutputStream=self.open,
            default=SimpleNamespace(device=[-1, -1]),
            query_hostapis=lambda: ({"name": "Fake", "default_output_device": 0},),
            query_devices=lambda: [info],
        )

    def open(self, **wanted: Any) -> OddDevice:
        """Open the stream, which is the device itself."""
        if (wanted["samplerate"], wanted["channels"]) != (self.rate, self.channels):
            raise PortAudioError("Invalid sample rate")
        self.wanted = wanted
        return self

    @property
    def samplerate(self) -> float:
        return float(self.rate)

    @property
    def sound(self) -> NDArray[np.float32]:
        return np.concatenate(self.heard)

    def start(self) -> None:
        """Start the stream; it takes no block by itself."""

    def take(self, *, underrun: bool = False) -> None:
        """Take one block, on a clock that goes by blocks."""
        now = len(self.heard) * BLOCK / self.rate
        moment = SimpleNamespace(currentTime=now, outputBufferDacTime=now + self.dac_offset)
        block = np.full((BLOCK, self.channels), 9.0, dtype=np.float32)
        self.wanted["callback"](block, BLOCK, moment, SimpleNamespace(output_underflow=underrun))
        self.heard.append(block)

    def run(self, blocks: int | None = None) -> None:
        """Take blocks in a thread of its own until the stream is stopped, or only so many.

        Without a number it ends by nothing else, however long the other threads are kept waiting.
        """

        def run() -> None:
            with contextlib.suppress(CallbackAbort):
                for _ in itertools.count() if blocks is None else range(blocks):
                    if self.stopping.wait(PAUSE_S):
                        break
                    self.take()
            self.wanted["finished_callback"]()

        self.runner = threading.Thread(target=run, daemon=True)
        self.runner.start()

    def stop(self) -> None:
        self.stopping.set()
        if self.runner:
            self.runner.join(30)

    abort = stop

    def close(self) -> None:
        assert not (self.runner and self.runner.is_alive())


def use(device: OddDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", device.module())
