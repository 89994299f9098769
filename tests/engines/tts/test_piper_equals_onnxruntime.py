"""Our voice is the ONNX file's voice: same weights, same noise, same waveform."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_voices import PHONEMES, FixedNoise, OnnxVoice, spoken_at_once, write_piper_voice

from voicebench.engines.tts.fitting import torch_arithmetic
from voicebench.engines.tts.piper import open_piper
from voicebench.engines.tts.vits.arithmetic import Arithmetic
from voicebench.engines.tts.vits.utterance import Manner, encode
from voicebench.engines.tts.voice import Voice

Exactly = Callable[[Voice], Arithmetic]

KINDS: dict[str, dict[str, Any]] = {
    "medium, one speaker": {},
    "high, three speakers, plain durations": {"kind": "1", "speakers": 3, "sdp": False},
}


def speak_both(
    arithmetic: Arithmetic, reference: OnnxVoice, symbols: list[int], manner: Manner
) -> tuple[np.ndarray, np.ndarray]:
    """Return our samples and onnxruntime's, for the same noise."""
    draws = np.random.default_rng(1)
    durations = draws.standard_normal((len(symbols), 2), np.float32)
    nothing = FixedNoise(durations, np.empty((0, 0), np.float32))
    count = encode(arithmetic, symbols, manner, nothing).frames
    frames = draws.standard_normal((count, arithmetic.shape.flow.channels), np.float32)
    ours = spoken_at_once(arithmetic, symbols, manner, FixedNoise(durations, frames))
    scales = (manner.noise_scale, manner.length_scale, manner.noise_w)
    return ours, reference.speak(symbols, scales, durations, frames, manner.speaker)


@pytest.fixture(scope="module", params=KINDS)
def built(request: pytest.FixtureRequest, small_voices: Path, piper_file: Path) -> Path:
    """Return the file of a voice of each kind."""
    if not (kind := KINDS[request.param]):
        return piper_file
    return write_piper_voice(small_voices / f"{request.param}.onnx", **kind)


@pytest.mark.slow
@pytest.mark.usefixtures("own_cache")
def test_a_voice_of_any_build_equals_onnxruntime(built: Path, exactly: Exactly) -> None:
    voice, reference = open_piper(built), OnnxVoice(built)
    speaker = voice.shape.speakers - 1 if voice.shape.speakers > 1 else None
    manner = Manner(0.7, 1.3, 0.9, speaker)
    arithmetic = exactly(replace(voice, manner=manner))
    symbols = [PHONEMES.index(p) for p in "^_h_ə_l_ˈ_o_ʊ_ _ð_ɛ_a_.$" if p in PHONEMES]
    ours, theirs = speak_both(arithmetic, reference, symbols, manner)
    assert ours.shape == theirs.shape
    assert np.abs(theirs).max() > 0.01
    assert np.corrcoef(ours, theirs)[0, 1] > 0.999
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.fixture(scope="module")
def joe(joe_file: Path) -> Voice:
    return open_piper(joe_file)


@pytest.fixture(scope="module")
def joe_in_onnxruntime(joe_file: Path) -> OnnxVoice:
    return OnnxVoice(joe_file)


@pytest.mark.models
@pytest.mark.slow
def test_the_embedded_voice_equals_onnxruntime(
    joe: Voice, joe_in_onnxruntime: OnnxVoice, exactly: Exactly
) -> None:
    symbols = next(joe.symbols("Trains leave now."))
    ours, theirs = speak_both(exactly(joe), joe_in_onnxruntime, symbols, joe.manner)
    assert ours.shape == theirs.shape
    assert np.corrcoef(ours, theirs)[0, 1] > 0.999
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


@pytest.mark.models
@pytest.mark.slow
def test_without_noise_the_embedded_voice_equals_the_untouched_file(
    joe: Voice, joe_file: Path
) -> None:
    import onnxruntime

    symbols = next(joe.symbols("Yes."))
    noise = FixedNoise(np.zeros((len(symbols), 2), np.float32), np.zeros((2000, 192), np.float32))
    ours = spoken_at_once(torch_arithmetic(joe), symbols, Manner(0.0, 1.0, 0.0), noise)
    session = onnxruntime.InferenceSession(joe_file, providers=["CPUExecutionProvider"])
    inputs = {
        "input": np.array([symbols]),
        "input_lengths": np.array([len(symbols)]),
        "scales": np.array([0.0, 1.0, 0.0], np.float32),
    }
    theirs = session.run(None, inputs)[0].reshape(-1)
    assert np.corrcoef(ours, theirs)[0, 1] > 0.999
