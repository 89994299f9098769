"""The voice in C is the voice in torch, for any cut of the frames, any text and any threads."""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voicebench.tts.vits.native_trial import spoken, trial_network, vits_works
from voicebench.tts.vits.native_voice import NativeArithmetic
from voicebench.tts.vits.network import TorchArithmetic

FRAMES = 150
CUTS = st.lists(st.integers(1, FRAMES - 1), max_size=8).map(lambda cuts: tuple(sorted(set(cuts))))
ANY_CUTS = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def drawn_frames(seed: int = 0, count: int = FRAMES) -> torch.Tensor:
    return torch.randn(count, 32, generator=torch.Generator().manual_seed(seed))


def in_c(library: ctypes.CDLL, kind: int, threads: int = 2) -> NativeArithmetic:
    network = trial_network(kind)  # type: ignore[arg-type]
    speaker = None if network.speakers is None else network.speakers[2]
    return NativeArithmetic(library, network, speaker=speaker, bfloats=False, threads=threads)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_it_works_with_any_number_of_threads(c_library: ctypes.CDLL, threads: int) -> None:
    assert vits_works(c_library, threads)


def test_code_that_computes_wrong_is_found_out(c_library: ctypes.CDLL) -> None:
    class Broken:
        def __getattr__(self, name: str) -> object:
            return getattr(c_library, name)

        def voicebench_voice_encode(self, *arguments: object) -> int:
            return 1  # and nothing is written

    assert not vits_works(Broken())  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [1, 2])
@torch.inference_mode()
def test_windows_of_any_size_give_the_very_samples_of_one(
    c_library: ctypes.CDLL, kind: int
) -> None:
    arithmetic, frames = in_c(c_library, kind), drawn_frames()
    whole = spoken(arithmetic, None, frames, ())

    @ANY_CUTS
    @given(cuts=CUTS)
    def cut_anywhere(cuts: tuple[int, ...]) -> None:
        assert torch.equal(spoken(arithmetic, None, frames, cuts), whole)

    cut_anywhere()


@pytest.mark.parametrize("count", [1, 2, 5, 64, 65, 300])
@torch.inference_mode()
def test_an_utterance_of_any_length_is_that_of_torch(c_library: ctypes.CDLL, count: int) -> None:
    network = trial_network(2)
    native = NativeArithmetic(c_library, network, speaker=None, bfloats=False, threads=2)
    frames = drawn_frames(count=count)
    expected = spoken(TorchArithmetic(network), None, frames, ())
    torch.testing.assert_close(spoken(native, None, frames, ()), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("count", [1, 3, 200])
@torch.inference_mode()
def test_a_text_of_any_length_is_encoded_as_in_torch(c_library: ctypes.CDLL, count: int) -> None:
    network = trial_network(2)
    native = NativeArithmetic(c_library, network, speaker=None, bfloats=False, threads=2)
    draws = torch.Generator().manual_seed(count)
    symbols = torch.randint(0, network.shape.text.symbols, (count,), generator=draws)
    noise = 3 * torch.randn(count, 2, generator=draws)  # some beyond the splines' bound
    expected = TorchArithmetic(network).encode(symbols, None, noise)
    for found, right in zip(native.encode(symbols, None, noise), expected, strict=True):
        torch.testing.assert_close(found, right, atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_a_text_beyond_the_memory_set_aside_is_left_to_torch(c_library: ctypes.CDLL) -> None:
    class Small:
        def __getattr__(self, name: str) -> object:
            return getattr(c_library, name)

        def voicebench_voice_encode(self, *arguments: object) -> int:
            return 0

    network = trial_network(2)
    native = NativeArithmetic(Small(), network, speaker=None, bfloats=False, threads=1)  # type: ignore[arg-type]
    symbols, noise = torch.tensor([1, 2, 3]), torch.zeros(3, 2)
    for found, right in zip(
        native.encode(symbols, None, noise),
        TorchArithmetic(network).encode(symbols, None, noise),
        strict=True,
    ):
        assert torch.equal(found, right)


@torch.inference_mode()
def test_many_short_utterances_from_several_threads_do_not_mix(c_library: ctypes.CDLL) -> None:
    arithmetic = in_c(c_library, 2)
    utterances = [drawn_frames(seed, 6) for seed in range(4)]
    alone = [spoken(arithmetic, None, frames, (2,)) for frames in utterances]

    def speak(number: int) -> bool:
        with torch.inference_mode():
            found = spoken(arithmetic, None, utterances[number % 4], (2,))
        return torch.equal(found, alone[number % 4])

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(speak, range(200)))
