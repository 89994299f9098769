"""Windows that are recorded once and replayed give what computing them anew gives.

A CUDA graph replays work on fixed memory. Here the work is simply done again on that memory,
which is all that the code around the graph can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from voicebench.tts.local import LocalSynthesizer, load_synthesizer
from voicebench.tts.noise import SeededNoise
from voicebench.tts.tuning import replays_agree
from voicebench.tts.vits.carry import Carry
from voicebench.tts.vits.network import TorchArithmetic, Utterance
from voicebench.tts.vits.replay import Replays

pytestmark = pytest.mark.usefixtures("own_cache")


def record(work: Callable[[], None]) -> Callable[[], None]:
    for _ in range(2):  # as a graph's warm-up does, with whatever is in the memory
        work()
    return work


@pytest.fixture
def synthesizer(mms_folder: Path) -> LocalSynthesizer:
    return load_synthesizer(
        str(mms_folder), device="cpu", length_scale=8.0, dtype="float32", kernels="torch"
    )


@pytest.fixture
def replays(synthesizer: LocalSynthesizer) -> Replays:
    arithmetic = TorchArithmetic(synthesizer._voice.network)

    def compute(rows: torch.Tensor, carry: Carry) -> torch.Tensor:
        return arithmetic.decode(rows, None, carry)

    return Replays(compute, (24, 8), record)


def encoded(synthesizer: LocalSynthesizer, text: str) -> tuple[Utterance, SeededNoise]:
    noise = SeededNoise(0, text)
    symbols = torch.tensor(next(synthesizer._voice.symbols(text)))
    with torch.inference_mode():
        return synthesizer._voice.network.encode(symbols, synthesizer._voice.manner, noise), noise


def windows(
    synthesizer: LocalSynthesizer, text: str, sizes: list[int], replays: Replays | None
) -> Iterator[torch.Tensor]:
    utterance, noise = encoded(synthesizer, text)
    return synthesizer._voice.network.windows(
        utterance, noise, iter(sizes + [sizes[-1]] * 1000), replays
    )


TEXT = "a long enough text to have many windows"


@torch.inference_mode()
def test_replayed_windows_give_the_samples(synthesizer: LocalSynthesizer, replays: Replays) -> None:
    plain = torch.cat(list(windows(synthesizer, TEXT, [10_000_000], None)))
    replayed = list(windows(synthesizer, TEXT, [40, 60, 190, 60, 190], replays))
    sizes = {window.shape[0] for window in replayed[1:-1]}
    assert {8 * 8, 24 * 8} <= sizes
    np.testing.assert_allclose(torch.cat(replayed), plain, atol=1e-4)


@torch.inference_mode()
def test_two_streams_through_one_recording_do_not_mix(
    synthesizer: LocalSynthesizer, replays: Replays
) -> None:
    texts = [TEXT, "something quite different that is said at the same time"]
    plain = [torch.cat(list(windows(synthesizer, text, [10_000_000], None))) for text in texts]
    streams = [windows(synthesizer, text, [40, 60], replays) for text in texts]
    taken: list[list[torch.Tensor]] = [[], []]
    running = [0, 1]
    while running:
        for index in list(running):
            window = next(streams[index], None)
            if window is None:
                running.remove(index)
            else:
                taken[index].append(window)
    for found, expected in zip(taken, plain, strict=True):
        np.testing.assert_allclose(torch.cat(found), expected, atol=1e-4)


@torch.inference_mode()
def test_a_stream_that_is_given_up_leaves_no_trace(
    synthesizer: LocalSynthesizer, replays: Replays
) -> None:
    plain = torch.cat(list(windows(synthesizer, TEXT, [10_000_000], None)))
    given_up = windows(synthesizer, "this one is given up", [40, 60], replays)
    for _ in range(4):
        next(given_up)
    given_up.close()  # type: ignore[attr-defined]
    found = torch.cat(list(windows(synthesizer, TEXT, [40, 60], replays)))
    np.testing.assert_allclose(found, plain, atol=1e-4)


def test_recordings_are_checked_before_use(synthesizer: LocalSynthesizer, replays: Replays) -> None:
    assert replays_agree(synthesizer._voice, replays)

    def wrong(rows: torch.Tensor, carry: Carry) -> torch.Tensor:
        return TorchArithmetic(synthesizer._voice.network).decode(rows, None, carry) + 0.01

    assert not replays_agree(synthesizer._voice, Replays(wrong, (8,), record))
