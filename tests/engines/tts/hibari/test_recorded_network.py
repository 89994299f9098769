"""Recordings of a few sizes give what the network computes for any number of rows.

A CUDA graph replays work on fixed memory. On a CPU the work is simply done again on that memory,
which is all that the code around the graph can tell.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from voicebench.engines.tts.hibari import recorded_network
from voicebench.engines.tts.hibari.recorded_network import (
    DECODED_SIZES,
    record_network,
    record_parts,
    recordings_agree,
)
from voicebench.engines.tts.hibari.sizes import (
    DECODER_REACH,
    FRAME_CHANNELS,
    PROSODY_CHANNELS,
    SYMBOLS,
)
from voicebench.engines.tts.hibari.torch_network import TorchNetwork
from voicebench.engines.tts.hibari.trial import decoded, drawn_speech_weights
from voicebench.engines.tts.vits.replay import Record, record_cuda_graph

TOLERANCE = 1e-3
DRAWS = np.random.default_rng(0)
ROWS = DRAWS.standard_normal((300, FRAME_CHANNELS), np.float32)


def record_again(work: Callable[[], None]) -> Callable[[], None]:
    work()  # as a graph's warm-up does, with whatever is in the memory
    return work


@pytest.fixture(scope="module")
def plain() -> TorchNetwork:
    return TorchNetwork(drawn_speech_weights(0))


def recorder(device: str) -> Record:
    return record_cuda_graph if device == "cuda" else record_again


@functools.cache
def recorded_on(device: str) -> TorchNetwork:
    network = TorchNetwork(drawn_speech_weights(0), device)
    network.recorded = record_parts(network, recorder(device))
    return network


@pytest.fixture
def recording(device: str) -> TorchNetwork:
    return recorded_on(device)


def near(found: NDArray[np.float32], right: NDArray[np.float32]) -> bool:
    return found.shape == right.shape and bool(np.abs(found - right).max() < TOLERANCE)


@pytest.mark.parametrize("count", [1, 2, 32, 33, 250, 256, 257])
def test_a_text_of_any_length_is_read(
    count: int, plain: TorchNetwork, recording: TorchNetwork
) -> None:
    symbols = DRAWS.integers(SYMBOLS, size=count)
    for right, found in zip(plain.read(symbols), recording.read(symbols), strict=True):
        assert near(found, right)


@pytest.mark.parametrize("count", [1, 63, 65, 512, 600])
def test_a_sentence_of_any_length_gets_its_melody(
    count: int, plain: TorchNetwork, recording: TorchNetwork
) -> None:
    rows = DRAWS.standard_normal((count, PROSODY_CHANNELS), np.float32)
    assert near(recording.prosody(rows), plain.prosody(rows))


@pytest.mark.parametrize("cuts", [(300,), (40, 300), (35, 45, 95, 150, 299, 300), (1, 2, 90, 300)])
def test_windows_of_any_size_give_the_parts_of_all_frames(
    cuts: tuple[int, ...], plain: TorchNetwork, recording: TorchNetwork
) -> None:
    assert near(decoded(recording, ROWS, cuts), plain.decode(ROWS))


def test_what_is_longer_is_computed_and_what_is_shorter_is_replayed(
    recording: TorchNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[int] = []
    compute = recording.decode_rows

    def noted(rows: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        computed.append(rows.shape[0])
        return compute(rows, mask)

    monkeypatch.setattr(recording, "decode_rows", noted)
    recording.decode(ROWS[: DECODED_SIZES[-1]])
    assert computed == []
    recording.decode(ROWS[: DECODED_SIZES[-1] + 1])
    assert computed == [DECODED_SIZES[-1] + 1]


def test_a_short_window_after_a_long_one_has_no_trace_of_it(
    plain: TorchNetwork, recording: TorchNetwork
) -> None:
    for count in (64, 60, 55, 64, 54, 1):
        assert near(recording.decode(ROWS[:count]), plain.decode(ROWS[:count]))


def test_earlier_results_stay_as_they_were(recording: TorchNetwork) -> None:
    first = recording.decode(ROWS[:50])
    copy = first.copy()
    recording.decode(ROWS[100:150])
    assert np.array_equal(first, copy)


def test_two_utterances_take_turns(plain: TorchNetwork, recording: TorchNetwork) -> None:
    one, other = recording.stream(), recording.stream()
    parts: list[list[NDArray[np.float32]]] = [[], []]
    for start in range(0, 120, 40):
        last = start == 80
        parts[0].append(one.window(ROWS[start : start + 40], last=last))
        parts[1].append(other.window(ROWS[150 + start : 190 + start], last=last))
    assert near(np.concatenate(parts[0]), plain.decode(ROWS[:120]))
    assert near(np.concatenate(parts[1]), plain.decode(ROWS[150:270]))


def test_a_window_needs_no_more_rows_than_a_recording_has() -> None:
    # The longest window of speech (500 ms) with all that changes it.
    assert DECODED_SIZES[-1] >= 2 * DECODER_REACH + 40


def test_recordings_are_checked_before_use(device: str, recording: TorchNetwork) -> None:
    assert recording.recorded is not None
    plain = TorchNetwork(drawn_speech_weights(0), device)
    assert recordings_agree(plain, recording.recorded)

    class Unmasked(TorchNetwork):
        """Computes as if all rows were there."""

        def prosody_rows(
            self, rows: torch.Tensor, mask: torch.Tensor | None = None
        ) -> torch.Tensor:
            return super().prosody_rows(rows, None)

    unmasked = Unmasked(drawn_speech_weights(0), device)
    assert not recordings_agree(unmasked, record_parts(unmasked, recorder(device)))


def test_a_network_on_a_cpu_is_not_recorded(plain: TorchNetwork) -> None:
    record_network(plain)
    assert not plain.replayed


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_network_on_a_gpu_is_recorded_while_others_use_it() -> None:
    networks = [TorchNetwork(drawn_speech_weights(0), "cuda") for _ in range(2)]
    matrix = torch.rand(512, 512, device="cuda")
    with ThreadPoolExecutor() as pool:
        recording = [pool.submit(record_network, network) for network in networks]
        while not all(one.done() for one in recording):
            matrix = torch.softmax(matrix @ torch.rand(512, 512, device="cuda"), dim=-1)
    assert all(network.replayed for network in networks)
    one, other = (decoded(network, ROWS, (40, 90, 300)) for network in networks)
    assert np.array_equal(one, other)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_gpu_that_cannot_record_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(recorded_network, "record_parts", broken)
    network = TorchNetwork(drawn_speech_weights(0), "cuda")
    record_network(network)
    assert not network.replayed
    assert network.decode(ROWS[:50]).shape[0] == 50
