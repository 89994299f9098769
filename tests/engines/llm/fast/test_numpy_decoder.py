"""The exact arithmetic in numpy is that in torch."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import torch

from voicebench.engines.llm.agreement import Turn, refer
from voicebench.engines.llm.fast.decoder_trial import trial_model
from voicebench.engines.llm.fast.kernels import plain
from voicebench.engines.llm.fast.numpy_decoder import NumpyDecoder
from voicebench.engines.llm.fast.torch_decoder import TorchDecoder

TURNS = [Turn([1, 2, 3, 4, 5], 3, [6, 7, 8, 9]), Turn([1, 2, 3, 40], 3, [41, 42])]


def both() -> tuple[NumpyDecoder, TorchDecoder]:
    model = trial_model()
    return NumpyDecoder(*model), TorchDecoder(*model, plain("fp32"), torch.device("cpu"))


@pytest.mark.parametrize("cuts", [(0, 30), (0, 1, 2, 17, 29, 30)])
def test_scores_keys_and_values_are_torchs(cuts: tuple[int, ...]) -> None:
    ours, theirs = both()
    cache, reference = ours.new_cache(32), theirs.new_cache(32)
    ids = [(7 * position + 3) % 100 for position in range(30)]
    for start, end in pairwise(cuts):
        got = ours.forward(ids[start:end], cache, start)
        expected = theirs.forward(ids[start:end], reference, start).numpy()
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
    for mine, its in zip(ours.content(cache, 30), theirs.content(reference, 30), strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-4, atol=1e-4)


def test_the_reference_of_quality_is_torchs() -> None:
    ours, theirs = (refer(decoder, TURNS) for decoder in both())
    for got, expected in zip(ours.expected, theirs.expected, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_both_trials_of_the_c_library_need_no_torch() -> None:
    script = (
        "import sys; sys.modules['torch'] = None;"
        "from voicebench.engines.native.library import native_library;"
        "from voicebench.engines.llm.fast.decoder_trial import llama_works;"
        "from voicebench.engines.tts.hibari.trial import hibari_works;"
        "library = native_library(); print(llama_works(library), hibari_works(library))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    if "NoLibrary" in done.stderr:
        pytest.skip("there is no C library")
    assert done.stdout.split() == ["True", "True"], done.stderr
