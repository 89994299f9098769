"""The network in numpy, which checks the C library, is the network in torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from voicebench.engines.tts.hibari.numpy_network import NumpyNetwork, gelu
from voicebench.engines.tts.hibari.sizes import FRAME_CHANNELS, PROSODY_CHANNELS, SYMBOLS
from voicebench.engines.tts.hibari.torch_network import TorchNetwork
from voicebench.engines.tts.hibari.trial import drawn_speech_weights

DRAWS = np.random.default_rng(5)


@pytest.fixture(scope="module")
def both() -> tuple[NumpyNetwork, TorchNetwork]:
    weights = drawn_speech_weights(0)
    return NumpyNetwork(weights), TorchNetwork(weights)


def test_every_part_is_torchs(both: tuple[NumpyNetwork, TorchNetwork]) -> None:
    ours, theirs = both
    symbols = DRAWS.integers(SYMBOLS, size=31)
    features = DRAWS.standard_normal((40, PROSODY_CHANNELS), np.float32)
    rows = DRAWS.standard_normal((33, FRAME_CHANNELS), np.float32)
    pairs = [
        *zip(ours.read(symbols), theirs.read(symbols), strict=True),
        (ours.prosody(features), theirs.prosody(features)),
        (ours.decode(rows), theirs.decode(rows)),
    ]
    for got, expected in pairs:
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-4)


def test_gelu_is_exact() -> None:
    values = np.linspace(-9, 9, 2001, dtype=np.float32)
    expected = torch.nn.functional.gelu(torch.from_numpy(values)).numpy()
    np.testing.assert_allclose(gelu(values), expected, rtol=0, atol=2e-6)
