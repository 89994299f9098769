"""Windows that are recorded once and replayed give what computing them anew gives.

A CUDA graph replays work on fixed memory. On a CPU the work is simply done again on that memory,
which is all that the code around the graph can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from voicebench.engines.tts.finding import open_voice
from voicebench.engines.tts.fitting import torch_arithmetic
from voicebench.engines.tts.speech_noise import seeded_noise
from voicebench.engines.tts.vits.carry import Carry
from voicebench.engines.tts.vits.replay import Record, Replays, record_cuda_graph
from voicebench.engines.tts.vits.replay_trial import replays_agree
from voicebench.engines.tts.vits.torch_voice import TorchArithmetic
from voicebench.engines.tts.vits.utterance import Manner, encode
from voicebench.engines.tts.vits.utterance import windows as windows_of
from voicebench.engines.tts.voice import Voice

pytestmark = pytest.mark.usefixtures("own_cache")

TEXT = "a long enough text to have many windows"


def record_again(work: Callable[[], None]) -> Callable[[], None]:
    for _ in range(2):  # as a graph's warm-up does, with whatever is in the memory
        work()
    return work


@pytest.fixture
def voice(mms_folder: Path) -> Voice:
    return open_voice(str(mms_folder))


@pytest.fixture
def plain(voice: Voice) -> TorchArithmetic:
    return torch_arithmetic(voice)


@pytest.fixture
def record(device: str) -> Record:
    return record_cuda_graph if device == "cuda" else record_again


@pytest.fixture
def replaying(voice: Voice, device: str, record: Record) -> TorchArithmetic:
    arithmetic = torch_arithmetic(voice, device)
    arithmetic.replays = Replays(arithmetic.decode, (24, 8), record)
    return arithmetic


def windows(
    arithmetic: TorchArithmetic, voice: Voice, text: str, sizes: list[int]
) -> Iterator[NDArray[np.float32]]:
    noise = seeded_noise(0, text)
    manner = Manner(voice.manner.noise_scale, 4.0, voice.manner.noise_w)
    utterance = encode(arithmetic, next(voice.symbols(text)), manner, noise)
    return windows_of(arithmetic, utterance, noise, iter(sizes + [sizes[-1]] * 1000))


def at_once(plain: TorchArithmetic, voice: Voice, text: str = TEXT) -> NDArray[np.float32]:
    return np.concatenate(list(windows(plain, voice, text, [10_000_000])))


def test_replayed_windows_give_the_samples(
    plain: TorchArithmetic, replaying: TorchArithmetic, voice: Voice
) -> None:
    assert (plain.replayed, replaying.replayed) == (False, True)
    replayed = list(windows(replaying, voice, TEXT, [40, 60, 190, 60, 190]))
    sizes = {window.size for window in replayed[1:-1]}
    assert {8 * 8, 24 * 8} <= sizes
    np.testing.assert_allclose(np.concatenate(replayed), at_once(plain, voice), atol=1e-4)


def test_two_streams_through_one_recording_do_not_mix(
    plain: TorchArithmetic, replaying: TorchArithmetic, voice: Voice
) -> None:
    texts = [TEXT, "something different that is said at the same time"]
    streams = [windows(replaying, voice, text, [40, 60]) for text in texts]
    taken: list[list[NDArray[np.float32]]] = [[], []]
    running = [0, 1]
    while running:
        for index in list(running):
            window = next(streams[index], None)
            if window is None:
                running.remove(index)
            else:
                taken[index].append(window)
    for found, text in zip(taken, texts, strict=True):
        np.testing.assert_allclose(np.concatenate(found), at_once(plain, voice, text), atol=1e-4)


def test_a_stream_that_is_given_up_leaves_no_trace(
    plain: TorchArithmetic, replaying: TorchArithmetic, voice: Voice
) -> None:
    given_up = windows(replaying, voice, "this one is given up", [40, 60])
    for _ in range(4):
        next(given_up)
    given_up.close()  # type: ignore[attr-defined]
    found = np.concatenate(list(windows(replaying, voice, TEXT, [40, 60])))
    np.testing.assert_allclose(found, at_once(plain, voice), atol=1e-4)


def test_recordings_are_checked_before_use(voice: Voice, device: str, record: Record) -> None:
    plain = torch_arithmetic(voice, device)
    frames = np.random.default_rng(0).standard_normal((60, 8), np.float32)
    assert replays_agree(plain, Replays(plain.decode, (24, 8), record), frames)

    def wrong(rows: torch.Tensor, carry: Carry) -> torch.Tensor:
        return plain.decode(rows, carry) + 0.01

    assert not replays_agree(plain, Replays(wrong, (8,), record), frames)
