"""Check that recorded windows give the same samples as computed ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from voicebench.engines.tts.vits.replay import Replays, record_cuda_graph
from voicebench.engines.tts.vits.torch_voice import TorchArithmetic, TorchStream
from voicebench.errors import EngineError
from voicebench.machine.devices import to_host

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOLERANCE = 1e-3
"""The largest error of samples in [-1, 1]."""


def replay_on_cuda(
    arithmetic: TorchArithmetic, frames: NDArray[np.float32], sizes: tuple[int, ...]
) -> None:
    """Let ``arithmetic`` replay windows of ``sizes`` frames, if that gives the same samples.

    The check uses ``frames`` (time, channels), which must be more than the largest size.
    """
    try:
        replays = Replays(arithmetic.decode, sizes, record_cuda_graph)
        if replays_agree(arithmetic, replays, frames):
            arithmetic.replays = replays
    except (RuntimeError, EngineError):  # a driver or a torch that cannot record, or no memory
        torch.cuda.synchronize(arithmetic.device)


def replays_agree(
    arithmetic: TorchArithmetic, replays: Replays, frames: NDArray[np.float32]
) -> bool:
    """Return whether each recorded window gives the samples of a computed one."""
    with arithmetic.computing():
        for size in replays.sizes:
            plain, recorded = (TorchStream(arithmetic) for _ in range(2))
            for stream in (plain, recorded):
                stream.window(frames, last=False)
            for _ in range(2):
                expected = plain.window(frames[:size], last=False)
                rows = arithmetic.on_device(frames[:size])
                found = to_host(replays(rows, recorded.carry))
                if found.shape != expected.shape:
                    return False
                if not np.allclose(found, expected, rtol=0, atol=TOLERANCE):
                    return False
    return True
