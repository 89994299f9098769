from __future__ import annotations

import numpy as np
import pytest

from voicebench.engines.ears.log_mel import log_mel


@pytest.mark.parametrize("samples", [400, 16_000, 37_777])
def test_the_features_are_those_of_faster_whisper(samples: int) -> None:
    from faster_whisper.feature_extractor import FeatureExtractor

    rng = np.random.default_rng(samples)
    pcm = (0.1 * rng.standard_normal(samples)).astype(np.float32)
    theirs = FeatureExtractor(feature_size=80)(pcm, padding=0)
    ours = log_mel(pcm)
    assert ours.shape == (80, samples // 160)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs[:, : ours.shape[1]], atol=2e-4)


def test_silence_has_the_least_level_in_every_band() -> None:
    features = log_mel(np.zeros(1600, np.float32))
    assert np.all(features == features[0, 0])
