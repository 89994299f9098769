"""Record the network of a hibari voice on a CUDA device, and check the recordings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from voicebench.engines.tts.hibari.recordings import Compute, RecordedPart, RecordedParts
from voicebench.engines.tts.hibari.sizes import (
    DECODER_REACH,
    FRAME_CHANNELS,
    PROSODY_CHANNELS,
    SYMBOLS,
)
from voicebench.engines.tts.vits.replay import Record, record_cuda_graph
from voicebench.errors import EngineError
from voicebench.machine.devices import to_host

if TYPE_CHECKING:
    from torch import Tensor

    from voicebench.engines.tts.hibari.torch_network import TorchNetwork

READ_SIZES = (32, 64, 128, 256)
"""Phonemes, with the pauses around them."""
PROSODY_SIZES = (64, 128, 256, 512)
"""Frames of 25 ms of a sentence."""
DECODED_SIZES = tuple(2 * DECODER_REACH + frames for frames in (0, 10, 42, 74))
"""Frames of 12.5 ms: a first window, one of 100 ms, one of the longest (500 ms), and more."""

TOLERANCE = 1e-3
"""Of numbers that are between -10 and 10."""


def record_parts(network: TorchNetwork, record: Record = record_cuda_graph) -> RecordedParts:
    """Record the parts of ``network`` in all sizes."""
    device = torch.device(network.device)

    def read_rows(rows: Tensor, mask: Tensor | None = None) -> Tensor:
        return network.read_rows(rows[:, 0].long(), mask)

    def recorded(compute: Compute, sizes: tuple[int, ...], columns: int) -> RecordedPart:
        return RecordedPart(compute, sizes, columns, device, record)

    with network.computing():
        return RecordedParts(
            read=recorded(read_rows, READ_SIZES, 1),
            prosody=recorded(network.prosody_rows, PROSODY_SIZES, PROSODY_CHANNELS),
            decode=recorded(network.decode_rows, DECODED_SIZES, FRAME_CHANNELS),
        )


def record_network(network: TorchNetwork) -> None:
    """Let ``network`` replay graphs on a CUDA device, if they compute what it computes."""
    if not network.device.startswith("cuda"):
        return
    try:
        recorded = record_parts(network)
        if recordings_agree(network, recorded):
            network.recorded = recorded
    except (RuntimeError, EngineError):  # a driver or a torch that cannot record, or no memory
        torch.cuda.synchronize(network.device)


def recordings_agree(network: TorchNetwork, recorded: RecordedParts) -> bool:
    """Return whether recordings of each size, full and not, give what ``network`` computes."""
    draws = np.random.default_rng(0)
    with network.computing():
        for part in (recorded.read, recorded.prosody, recorded.decode):
            for count in (count for size in part.sizes for count in (size, size - 9, size - 1)):
                rows = draws.standard_normal((count, part.columns), np.float32)
                if part is recorded.read:
                    rows = draws.integers(SYMBOLS, size=(count, 1)).astype(np.float32)
                expected = to_host(part.compute(network.on_device(rows), None))
                found = part(rows)
                if found is None or not np.allclose(found, expected, rtol=0, atol=TOLERANCE):
                    return False
    return True
