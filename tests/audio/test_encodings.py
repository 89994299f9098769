"""Samples come out of each encoding as they went in."""

from __future__ import annotations

import io
from typing import get_args

import av
import numpy as np
import pytest
from misread import stored

from voicebench.audio.encodings import IN_WORDS, SAMPLE_BYTES, PcmEncoding, decode_pcm

RAMP = np.linspace(-0.99, 0.99, 1001).astype(np.float32)
STEPS: dict[str, float] = {"u8": 1 / 80, "s8": 1 / 80, "mulaw": 0.02, "alaw": 0.02}


def test_every_encoding_has_a_width_and_words() -> None:
    assert set(SAMPLE_BYTES) == set(IN_WORDS) == set(get_args(PcmEncoding))


@pytest.mark.parametrize("encoding", get_args(PcmEncoding))
def test_what_is_stored_is_read(encoding: PcmEncoding) -> None:
    raw = stored(RAMP, encoding)
    assert len(raw) == RAMP.size * SAMPLE_BYTES[encoding]
    np.testing.assert_allclose(decode_pcm(raw, encoding), RAMP, atol=STEPS.get(encoding, 1e-4))


@pytest.mark.parametrize("encoding", ["mulaw", "alaw"])
def test_the_telephones_codings_are_those_of_ffmpeg(encoding: PcmEncoding) -> None:
    every = bytes(range(256))
    with av.open(io.BytesIO(every), "r", format=encoding, options={"sample_rate": "8000"}) as file:
        frames = [frame.to_ndarray().reshape(-1) for frame in file.decode(audio=0)]
    assert np.rint(decode_pcm(every, encoding) * 32768).tolist() == np.concatenate(frames).tolist()


def test_random_floats_are_read_without_a_warning() -> None:
    random = np.random.default_rng(0).bytes(8000)
    assert decode_pcm(random, "f64le").size == 1000
