"""The voice in C is the voice in torch, for any cut of the frames, any text and any threads."""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from voicebench.engines.tts.vits.native_voice import NativeArithmetic
from voicebench.engines.tts.vits.torch_voice import TorchArithmetic
from voicebench.engines.tts.vits.voice_trial import drawn_weights, spoken, trial_shape, vits_works

FRAMES = 150
CUTS = st.lists(st.integers(1, FRAMES - 1), max_size=8).map(lambda cuts: tuple(sorted(set(cuts))))
ANY_CUTS = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def drawn_frames(seed: int = 0, count: int = FRAMES) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((count, 32), np.float32)


def in_c(library: Any, kind: Literal[1, 2], threads: int = 2) -> NativeArithmetic:
    shape = trial_shape(kind)
    return NativeArithmetic(
        library,
        shape,
        drawn_weights(shape, seed=kind),
        speaker=2 if shape.speakers > 1 else None,
        bfloats=False,
        threads=threads,
    )


def in_torch(kind: Literal[1, 2]) -> TorchArithmetic:
    shape = trial_shape(kind)
    speaker = 2 if shape.speakers > 1 else None
    return TorchArithmetic(shape, drawn_weights(shape, seed=kind), speaker=speaker)


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
def test_windows_of_any_size_give_the_very_samples_of_one(
    c_library: ctypes.CDLL, kind: Literal[1, 2]
) -> None:
    arithmetic, frames = in_c(c_library, kind), drawn_frames()
    whole = spoken(arithmetic, frames, ())

    @ANY_CUTS
    @given(cuts=CUTS)
    def cut_anywhere(cuts: tuple[int, ...]) -> None:
        assert np.array_equal(spoken(arithmetic, frames, cuts), whole)

    cut_anywhere()


@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize("count", [1, 2, 5, 64, 65, 300])
def test_an_utterance_of_any_length_is_that_of_torch(
    c_library: ctypes.CDLL, count: int, kind: Literal[1, 2]
) -> None:
    frames = drawn_frames(count=count)
    expected = spoken(in_torch(kind), frames, ())
    found = spoken(in_c(c_library, kind), frames, ())
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize("count", [1, 3, 200])
def test_a_text_of_any_length_is_encoded_as_in_torch(
    c_library: ctypes.CDLL, count: int, kind: Literal[1, 2]
) -> None:
    native, exact = in_c(c_library, kind), in_torch(kind)
    draws = np.random.default_rng(count)
    symbols = draws.integers(exact.shape.text.symbols, size=count)
    noise = 3 * draws.standard_normal((count, 2), np.float32)  # some beyond the splines' bound
    for found, right in zip(
        native.encode(symbols, noise), exact.encode(symbols, noise), strict=True
    ):
        np.testing.assert_allclose(found, right, atol=1e-4, rtol=1e-4)


def test_a_text_beyond_the_memory_set_aside_is_left_to_torch(c_library: ctypes.CDLL) -> None:
    class Small:
        def __getattr__(self, name: str) -> object:
            return getattr(c_library, name)

        def voicebench_voice_encode(self, *arguments: object) -> int:
            return 0

    native = in_c(Small(), 1)
    symbols, noise = np.array([1, 2, 3]), np.zeros((3, 2), np.float32)
    expected = in_torch(1).encode(symbols, noise)
    for found, right in zip(native.encode(symbols, noise), expected, strict=True):
        np.testing.assert_allclose(found, right, atol=1e-6)


def test_a_caller_may_go_on_while_threads_still_leave_an_encoding(c_library: ctypes.CDLL) -> None:
    """With plain durations C encodes the text alone, and what the task says is gone after that.

    So many threads for so few cores lose theirs where it hurts.
    """
    shape = trial_shape(2)
    shape = replace(shape, durations=replace(shape.durations, stochastic=False))
    weights = drawn_weights(shape, seed=0)
    native = NativeArithmetic(c_library, shape, weights, speaker=None, bfloats=False, threads=8)
    symbols, noise = np.array([1, 2, 3]), np.ones((3, 2), np.float32)
    first = native.encode(symbols, noise)
    for _ in range(50):
        for found, expected in zip(native.encode(symbols, noise), first, strict=True):
            np.testing.assert_array_equal(found, expected)


def test_samples_are_left_alone_by_later_windows(c_library: ctypes.CDLL) -> None:
    stream, frames = in_c(c_library, 2).stream(), drawn_frames()
    first = stream.window(frames[:80], last=False)
    kept = first.copy()
    stream.window(frames[80:], last=True)
    assert first.size > 0
    np.testing.assert_array_equal(first, kept)


def test_many_short_utterances_from_several_threads_do_not_mix(c_library: ctypes.CDLL) -> None:
    arithmetic = in_c(c_library, 2)
    utterances = [drawn_frames(seed, 6) for seed in range(4)]
    alone = [spoken(arithmetic, frames, (2,)) for frames in utterances]

    def speak(number: int) -> bool:
        found = spoken(arithmetic, utterances[number % 4], (2,))
        return np.array_equal(found, alone[number % 4])

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(speak, range(200)))
