"""The network in C is the network in torch, for any cut of the frames and any threads."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebench.engines.tts.hibari.native_network import NativeNetwork
from voicebench.engines.tts.hibari.sizes import FRAME_CHANNELS, SYMBOLS
from voicebench.engines.tts.hibari.torch_network import TorchNetwork
from voicebench.engines.tts.hibari.trial import (
    TOLERANCE,
    decoded,
    drawn_speech_weights,
    hibari_works,
)
from voicebench.errors import EngineError

FRAMES = 70
ROWS = np.random.default_rng(0).standard_normal((FRAMES, FRAME_CHANNELS), np.float32)
CUTS = st.lists(st.integers(1, FRAMES - 1), max_size=5).map(
    lambda cuts: (*sorted(set(cuts)), FRAMES)
)


@pytest.fixture(scope="module")
def in_torch() -> TorchNetwork:
    return TorchNetwork(drawn_speech_weights(0))


@pytest.fixture(scope="module")
def in_c(c_library_or_none: ctypes.CDLL | None) -> NativeNetwork:
    if c_library_or_none is None:
        pytest.skip("there is no C compiler")
    return NativeNetwork(c_library_or_none, drawn_speech_weights(0), threads=2)


@pytest.mark.parametrize("threads", [1, 3])
def test_c_agrees_with_torch(c_library: ctypes.CDLL, threads: int) -> None:
    assert hibari_works(c_library, threads)


def test_code_that_computes_wrong_is_found_out(c_library: ctypes.CDLL) -> None:
    class Broken:
        def __getattr__(self, name: str) -> object:
            return getattr(c_library, name)

        def voicebench_hibari_decode(self, *arguments: object) -> int:
            return 0

    assert not hibari_works(Broken())  # type: ignore[arg-type]


def test_a_waveform_that_is_wrong_is_found_out(c_library: ctypes.CDLL) -> None:
    class Broken:
        def __getattr__(self, name: str) -> object:
            return getattr(c_library, name)

        def voicebench_hibari_waveform_begin(self, pitch: int, frames: int, first: int) -> int:
            begun: int = c_library.voicebench_hibari_waveform_begin(pitch + 4, frames - 1, first)
            return begun

    assert not hibari_works(Broken())  # type: ignore[arg-type]


@settings(max_examples=8, deadline=None)
@given(cuts=CUTS)
def test_any_cut_gives_the_same_parts(
    in_torch: TorchNetwork, in_c: NativeNetwork, cuts: tuple[int, ...]
) -> None:
    whole = in_torch.decode(ROWS)
    for network in (in_torch, in_c):
        parts = decoded(network, ROWS, cuts)
        assert parts.shape == whole.shape
        assert np.abs(parts - whole).max() < TOLERANCE


def test_two_utterances_at_once_do_not_mix(in_c: NativeNetwork) -> None:
    whole = decoded(in_c, ROWS, (FRAMES,))
    one, other = in_c.stream(), in_c.stream()
    first, backward = one.window(ROWS[:40], last=False), other.window(ROWS[::-1], last=True)
    assert np.array_equal(np.concatenate((first, one.window(ROWS[40:], last=True))), whole)
    assert backward.shape == whole.shape


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("cuts", [(FRAMES,), (5, 17, 60, FRAMES)])
def test_a_gpu_computes_what_a_cpu_does(in_torch: TorchNetwork, cuts: tuple[int, ...]) -> None:
    on_gpu = TorchNetwork(drawn_speech_weights(0), "cuda")
    assert np.abs(decoded(on_gpu, ROWS, cuts) - in_torch.decode(ROWS)).max() < TOLERANCE / 10
    symbols = np.arange(40) % SYMBOLS
    for right, found in zip(in_torch.read(symbols), on_gpu.read(symbols), strict=True):
        assert np.abs(found - right).max() < TOLERANCE


def test_a_hurried_step_computes_the_same(in_c: NativeNetwork) -> None:
    symbols = np.arange(1, 38)
    for slow, fast in zip(in_c.read(symbols), in_c.read(symbols, hurried=True), strict=True):
        assert np.allclose(slow, fast, atol=1e-5)
    curves = ROWS[:, :1].repeat(192, axis=1)
    assert np.allclose(in_c.prosody(curves), in_c.prosody(curves, hurried=True), atol=1e-5)
    slow, fast = (in_c.stream(hurried=hurried).window(ROWS, last=True) for hurried in (False, True))
    assert np.allclose(slow, fast, atol=1e-5)


def test_a_text_of_one_symbol_is_read(in_torch: TorchNetwork, in_c: NativeNetwork) -> None:
    for right, found in zip(in_torch.read(np.array([5])), in_c.read(np.array([5])), strict=True):
        assert np.allclose(right, found, atol=TOLERANCE)


def test_a_text_that_is_too_long_is_refused(in_c: NativeNetwork) -> None:
    with pytest.raises(EngineError, match="too long"):
        in_c.read(np.zeros(1 << 17, np.int64) % SYMBOLS)
