from __future__ import annotations

import ctypes
import dataclasses
import json
import random
import threading
from pathlib import Path
from typing import cast

import ml_dtypes
import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike, NDArray
from small_models import tiny_llama_config, write_model

from voicebench.engines.llm.fast.decoder_trial import llama_works, trial_model
from voicebench.engines.llm.fast.decoder_weights import Weights, read_weights
from voicebench.engines.llm.fast.engine import FastEngine
from voicebench.engines.llm.fast.kernels import plain
from voicebench.engines.llm.fast.model_shape import Shape, Unsupported, read_shape
from voicebench.engines.llm.fast.native_decoder import NativeCache, NativeDecoder
from voicebench.engines.llm.fast.segment import Segment
from voicebench.engines.llm.fast.torch_decoder import TorchDecoder

CPU = torch.device("cpu")


def both(
    library: ctypes.CDLL, shape: Shape, weights: Weights, *, threads: int = 2
) -> tuple[NativeDecoder, TorchDecoder]:
    native = NativeDecoder(library, shape, weights, threads=threads)
    return native, TorchDecoder(shape, weights, plain("fp32"), CPU)


def model_in(folder: Path) -> tuple[Shape, Weights]:
    shape = read_shape(json.loads((folder / "config.json").read_text()))
    return shape, read_weights(folder, shape)


def keys_of(cache: NativeCache) -> NDArray[np.float32]:
    """Return the keys as (layer, key head, head size, position)."""
    layers, heads, _, size, _ = cache.keys.shape
    return cache.keys.swapaxes(2, 3).reshape(layers, heads, size, -1)


def error(got: ArrayLike, expected: ArrayLike) -> float:
    got, expected = np.asarray(got), np.asarray(expected)
    return float(np.linalg.norm(got - expected) / np.linalg.norm(expected))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_scores_are_those_of_torch_but_for_rounding(c_library: ctypes.CDLL, threads: int) -> None:
    assert llama_works(c_library, threads)


def test_a_wrong_decoder_is_found_out(c_library: ctypes.CDLL) -> None:
    class Broken:
        def __getattr__(self, name: str) -> object:
            return getattr(c_library, name)

        def voicebench_set_window(self, *arguments: object) -> None:
            pass

    assert not llama_works(cast(ctypes.CDLL, Broken()), 1)


@pytest.mark.parametrize("cuts", [[40], [1] * 40, [3, 30, 7]])
def test_scores_do_not_depend_on_how_the_prompt_is_cut(
    c_library: ctypes.CDLL, cuts: list[int]
) -> None:
    shape, weights = trial_model()
    native, _ = both(c_library, shape, weights)
    ids = [(11 * position) % 100 for position in range(40)]
    whole = native.forward(ids, native.new_cache(40), 0)
    cache, start = native.new_cache(40), 0
    for length in cuts:
        scores = native.forward(ids[start : start + length], cache, start)
        start += length
    # A long prompt may be multiplied in other numbers than a short one: tiles of bfloat16.
    assert error(scores, whole) < 0.03


def test_a_segment_gives_the_same_whoever_shares_the_pass(c_library: ctypes.CDLL) -> None:
    """To the bit, in scores and keys: prompts of both arithmetics, in pieces, beside single ids."""
    shape, weights = trial_model()
    native, _ = both(c_library, shape, weights)
    draws = random.Random(0)
    for _ in range(30):
        lengths = [draws.choice((1, 2, 5, 12, 13, 20, 40)) for _ in range(draws.randint(1, 6))]
        texts = [[draws.randrange(100) for _ in range(length + 3)] for length in lengths]
        alone = [native.new_cache(48) for _ in texts]
        mixed = [native.new_cache(48) for _ in texts]
        expected: list[list[NDArray[np.float32]]] = []
        for ids, length, cache in zip(texts, lengths, alone, strict=True):
            scores = [native.forward(ids[:length], cache, 0)]
            behind = range(length, length + 3)
            scores += [native.forward(ids[at : at + 1], cache, at) for at in behind]
            expected.append(scores)
        got: list[list[NDArray[np.float32]]] = [[] for _ in texts]
        filled = [0] * len(texts)
        while unfinished := [n for n, ids in enumerate(texts) if filled[n] < len(ids)]:
            joined = draws.sample(unfinished, draws.randint(1, len(unfinished)))
            segments = []
            for n in joined:
                left = lengths[n] - filled[n]
                rows = draws.randint(1, left) if left > 0 else 1
                segments.append(
                    Segment(
                        texts[n][filled[n] : filled[n] + rows],
                        mixed[n],
                        filled[n],
                        prompt=lengths[n] if left > 0 else 1,
                        wanted=rows >= left,
                    )
                )
                filled[n] += rows
            for n, scores_of_n in zip(joined, native.forward_together(segments), strict=True):
                if scores_of_n is not None:
                    got[n].append(scores_of_n)
        for n in range(len(texts)):
            assert len(got[n]) == len(expected[n])
            assert all(map(np.array_equal, got[n], expected[n]))
            held = slice(0, lengths[n] + 3)
            assert np.array_equal(keys_of(mixed[n])[..., held], keys_of(alone[n])[..., held])
            assert np.array_equal(mixed[n].values[:, :, held], alone[n].values[:, :, held])


@pytest.mark.parametrize(
    "cuts",
    [
        [1] * 60,
        [2, 3, 4, 5, 6, 7, 33],
        [8, 9, 10, 11, 22],
        [12, 13, 14, 21],
        [15, 16, 29],
        [17, 43],
        [59, 1],
    ],
)
def test_a_row_is_the_same_however_many_share_the_pass(
    c_library: ctypes.CDLL, cuts: list[int]
) -> None:
    """To the bit, with more groups than a product of many rows unpacks at once."""
    shape, weights = trial_model(384)
    native, _ = both(c_library, shape, weights)
    ids = [(11 * position) % 100 for position in range(60)]
    whole, cut, start = native.new_cache(60), native.new_cache(60), 0
    expected = native.forward(ids, whole, 0)
    for length in cuts:
        segment = Segment(ids[start : start + length], cut, start, prompt=len(ids))
        (scores,) = native.forward_together([segment])
        start += length
    assert native.kinds == {4, 8}
    assert scores is not None
    assert np.array_equal(scores, expected)
    assert np.array_equal(keys_of(cut)[..., :60], keys_of(whole)[..., :60])
    assert np.array_equal(cut.values[:, :, :60], whole.values[:, :, :60])


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_number_of_threads_does_not_change_the_scores(
    c_library: ctypes.CDLL, count: int
) -> None:
    shape, weights = trial_model()
    ids = list(range(30))
    one, _ = both(c_library, shape, weights, threads=1)
    more, _ = both(c_library, shape, weights, threads=count)
    expected = one.forward(ids, one.new_cache(32), 0)
    assert np.array_equal(more.forward(ids, more.new_cache(32), 0), expected)


def test_weights_on_a_grid_of_16_levels_are_kept_without_loss(c_library: ctypes.CDLL) -> None:
    shape, weights = trial_model()
    shape = dataclasses.replace(shape, query_key_norm=False)
    layers = tuple(dataclasses.replace(layer, output=layer.qkv[0]) for layer in weights.layers)
    weights = dataclasses.replace(weights, layers=layers)
    native, exact = both(c_library, shape, weights)
    ids = list(range(20))
    expected = exact.forward(ids, exact.new_cache(32), 0)
    on_grid = error(native.forward(ids, native.new_cache(32), 0), expected)
    draws = np.random.default_rng(0)
    noisy = tuple(
        dataclasses.replace(
            layer, output=layer.output + 0.02 * draws.standard_normal((64, 64), np.float32)
        )
        for layer in layers
    )
    off_grid = NativeDecoder(
        c_library, shape, dataclasses.replace(weights, layers=noisy), threads=1
    )
    assert on_grid < 0.03
    fewer, more = (decoder.describe()["bytes_per_token"] for decoder in (native, off_grid))
    assert isinstance(fewer, int)
    assert isinstance(more, int)
    assert fewer < more


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_weights_stored_in_half_precision_are_read_as_they_are(
    c_library: ctypes.CDLL, dtype: type[np.generic]
) -> None:
    shape, weights = trial_model()
    stored = dataclasses.replace(
        weights,
        layers=tuple(
            dataclasses.replace(
                layer,
                qkv=tuple(part.astype(dtype) for part in layer.qkv),
                output=layer.output.astype(dtype),
            )
            for layer in weights.layers
        ),
        head=weights.head.astype(dtype),
    )
    native, exact = both(c_library, shape, stored)
    ids = list(range(20))
    expected = exact.forward(ids, exact.new_cache(32), 0)
    assert error(native.forward(ids, native.new_cache(32), 0), expected) < 0.05


@pytest.mark.parametrize(
    "sizes",
    [
        {},
        {"hidden_size": 96, "num_attention_heads": 6},
        {"num_key_value_heads": 4},
        {"hidden_size": 128, "num_attention_heads": 8, "num_key_value_heads": 1},
    ],
    ids=["two heads share keys", "three do", "none do", "eight do"],
)
def test_a_real_folder_computes_as_torch_does(
    c_library: ctypes.CDLL, tmp_path: Path, sizes: dict[str, int]
) -> None:
    write_model(tmp_path, tiny_llama_config(**sizes), spread=0.1)
    native, exact = both(c_library, *model_in(tmp_path))
    ids = list(range(100, 130))
    expected = exact.forward(ids, exact.new_cache(32), 0)
    assert error(native.forward(ids, native.new_cache(32), 0), expected) < 0.05


def test_a_long_prompt_and_a_growing_cache_are_those_of_torch(
    c_library: ctypes.CDLL, tmp_path: Path
) -> None:
    write_model(tmp_path, tiny_llama_config(max_position_embeddings=2048), spread=0.1)
    native, exact = both(c_library, *model_in(tmp_path))
    ids = [(13 * position) % 400 for position in range(700)]
    engines = [
        FastEngine(decoder, prefix=ids[:4], temperature=0.0, seed=0) for decoder in (native, exact)
    ]
    first = [next(one for one in engine.generate(ids) if one is not None) for engine in engines]
    assert first[0] == first[1]


def test_what_a_cache_holds_can_be_copied_and_filled_into_another(c_library: ctypes.CDLL) -> None:
    shape, weights = trial_model()
    native, exact = both(c_library, shape, weights)
    ids = list(range(12))
    exact_cache = exact.new_cache(16)
    expected = exact.forward(ids[:11], exact_cache, 0), exact.forward(ids[11:], exact_cache, 11)
    filled, copied = native.new_cache(13), native.new_cache(40)
    native.fill(filled, *exact.content(exact_cache, 11))
    native.copy_cache(filled, copied, 11)
    scores = native.forward(ids[11:], copied, 11)
    assert error(scores, expected[1]) < 0.05
    assert np.array_equal(native.forward(ids[11:], filled, 11), scores)


def test_two_threads_may_compute_on_one_model(c_library: ctypes.CDLL) -> None:
    shape, weights = trial_model()
    native, _ = both(c_library, shape, weights)
    texts = [list(range(start, start + 20)) for start in (0, 40)]
    expected = [native.forward(ids, native.new_cache(24), 0) for ids in texts]
    right = []

    def compute(ids: list[int], scores: NDArray[np.float32]) -> None:
        computed = [native.forward(ids, native.new_cache(24), 0) for _ in range(20)]
        right.append(all(np.array_equal(each, scores) for each in computed))

    threads = [
        threading.Thread(target=compute, args=pair) for pair in zip(texts, expected, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [True, True]


def test_widths_that_do_not_divide_into_groups_are_unsupported(c_library: ctypes.CDLL) -> None:
    shape, weights = trial_model()
    with pytest.raises(Unsupported, match="a width of 40 is not a multiple of 32"):
        NativeDecoder(c_library, dataclasses.replace(shape, hidden=40), weights, threads=1)
