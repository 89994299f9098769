"""What is told of a network without torch is what the network in torch has and does."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from voicebench.engines.tts.vits.torch_voice import TorchArithmetic, Vits
from voicebench.engines.tts.vits.voice_shape import VitsShape
from voicebench.engines.tts.vits.voice_trial import drawn_weights, trial_shape
from voicebench.engines.tts.vits.voice_weights import check_weights, weight_shapes
from voicebench.errors import ModelError

PLAIN = replace(trial_shape(2).durations, stochastic=False)

SHAPES = {
    "kind 1, three speakers": trial_shape(1),
    "kind 2, one speaker": trial_shape(2),
    "plain durations, three speakers": replace(trial_shape(1), durations=PLAIN),
    "one upsampling, wide kernels": replace(
        trial_shape(1),
        flow=replace(trial_shape(1).flow, couplings=3, layers=2, dilation_rate=2),
        decoder=replace(
            trial_shape(1).decoder,
            channels=16,
            first_kernel=5,
            last_kernel=3,
            rates=(5,),
            kernels=(11,),
            block_kernels=(3, 7, 11),
            block_dilations=((1, 3, 5), (1, 2, 4), (2, 1, 1)),
        ),
    ),
}

any_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())


@any_shape
def test_the_weights_of_a_shape_are_those_of_its_network(shape: VitsShape) -> None:
    with torch.device("meta"):
        kept = Vits(shape).state_dict()
    assert weight_shapes(shape) == {name: tuple(weight.shape) for name, weight in kept.items()}


@any_shape
def test_as_few_frames_as_determine_the_samples_are_asked_for(shape: VitsShape) -> None:
    arithmetic = TorchArithmetic(shape, drawn_weights(shape, seed=0))
    frame = np.zeros((1, shape.flow.channels), np.float32)
    stream = arithmetic.stream()
    counts = [stream.window(frame, last=False).size for _ in range(60)]
    given = [0, *itertools.accumulate(counts)]
    assert given[-1] > 3 * shape.decoder.hop
    for samples in range(1, given[-1] + 1):
        fewest = next(count for count, size in enumerate(given) if size >= samples)
        assert shape.frames_for(samples) == fewest


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda weights: weights.pop("flow.couplings.1.post.bias"), "lacks.*couplings.1.post.bias"),
        (lambda weights: weights.update(extra=np.zeros(1, np.float32)), "unknown weights: extra"),
        (
            lambda weights: weights.update(speakers=np.zeros((3, 9), np.float32)),
            r"speakers as float32 \(3, 9\), not as float32 \(3, 8\)",
        ),
        (lambda weights: weights.update(speakers=np.zeros((3, 8))), "speakers as float64"),
    ],
    ids=["missing", "unknown", "of another shape", "of another format"],
)
def test_weights_that_do_not_fit_the_shape_are_refused(change: object, words: str) -> None:
    shape = trial_shape(1)
    weights = drawn_weights(shape, seed=0)
    check_weights(Path("cache"), shape, weights)
    change(weights)  # type: ignore[operator]
    with pytest.raises(ModelError, match=words):
        check_weights(Path("cache"), shape, weights)
