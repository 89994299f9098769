"""The peer's cut graph says what the whole graph says."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.first_audio.onnx_voice import FIRST_FRAMES, FrameVoice, SentenceVoice
from benchmarks.first_audio.rows import PEERS_VOICE
from voicebench.engines.models import ensure
from voicebench.events import AudioChunk

pytestmark = [pytest.mark.models, pytest.mark.slow]
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def frame_voice() -> FrameVoice:
    return FrameVoice(next(ensure(PEERS_VOICE).glob("*.onnx")))


def test_windows_of_frames_give_the_samples_of_one_run(frame_voice: FrameVoice) -> None:
    generator = np.random.default_rng(0)
    prior = generator.standard_normal((1, 192, 150)).astype(np.float32)
    whole = frame_voice.decode(frame_voice.flow(prior))
    windows = list(frame_voice.windows(prior))
    assert len(windows) > 3
    assert windows[0].size == FIRST_FRAMES * 256
    np.testing.assert_allclose(np.concatenate(windows), whole, atol=1e-3)


def test_both_peers_speak_the_same_sentence_about_as_long(frame_voice: FrameVoice) -> None:
    sentences = SentenceVoice(next(ensure(PEERS_VOICE).glob("*.onnx")))
    seconds = []
    for voice in (frame_voice, sentences):
        pieces = [one for one in voice.speak("Good morning.") if isinstance(one, AudioChunk)]
        seconds.append(sum(one.pcm.size / one.sample_rate for one in pieces))
        assert max(float(np.abs(one.pcm).max()) for one in pieces) > 0.05
    assert seconds[0] == pytest.approx(seconds[1], rel=0.25)
