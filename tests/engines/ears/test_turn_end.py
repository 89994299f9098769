from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from voicebench.engines.ears.ear_models import TURN_END, onnx_session
from voicebench.engines.ears.log_mel import log_mel
from voicebench.engines.ears.shorter_turn_end import POSITIONS
from voicebench.engines.ears.turn_end import HEARD_SAMPLES, TurnEnd

if TYPE_CHECKING:
    from numpy.typing import NDArray


TABLE = np.arange(400 * 384, dtype=np.float32).reshape(400, 384)


class Listening:
    """Keeps the features that the model is given."""

    def run(self, names: None, given: dict[str, NDArray[np.float32]]) -> list[Any]:
        self.features = given["input_features"]
        self.positions = given[POSITIONS]
        return [np.array([[0.25]], np.float32)]


def test_the_model_hears_what_was_said_and_at_most_eight_seconds() -> None:
    session = Listening()
    model = TurnEnd(session, TABLE)
    for samples, positions in ((1_600, 65), (HEARD_SAMPLES, 400), (2 * HEARD_SAMPLES, 400)):
        assert model.probability(np.ones(samples, np.float32), 0) == 0.25
        assert session.features.shape == (1, 80, 2 * positions)
        np.testing.assert_array_equal(session.positions, TABLE[-positions:])


def test_missing_silence_is_put_behind_the_speech() -> None:
    rng = np.random.default_rng(1)
    speech = rng.standard_normal(16_000).astype(np.float32)
    given = []
    for silent in (0, 1_024, 3_200):
        session = Listening()
        TurnEnd(session, TABLE).probability(np.pad(speech, (0, silent)), silent)
        given.append(session.features)
    np.testing.assert_array_equal(given[0], given[2])
    np.testing.assert_array_equal(given[1], given[2])


def test_the_features_of_shorter_speech_are_the_last_ones_of_all_eight_seconds() -> None:
    session = Listening()
    speech = np.random.default_rng(1).standard_normal(20_000).astype(np.float32)
    TurnEnd(session, TABLE).probability(speech, 3_200)
    whole = np.pad(speech, (HEARD_SAMPLES - speech.size, 0))
    features = log_mel((whole - whole.mean()) / np.sqrt(whole.var() + np.float32(1e-7)))
    given = session.features[0]
    np.testing.assert_allclose(given, features[:, -given.shape[1] :], atol=1e-5)


@pytest.mark.models
def test_with_eight_seconds_the_graph_gives_what_its_makers_give() -> None:
    rng = np.random.default_rng(1)
    pcm = (0.1 * rng.standard_normal(HEARD_SAMPLES)).astype(np.float32)
    heard = np.concatenate((pcm[3_200:], np.zeros(3_200, np.float32)))
    spread = np.sqrt(heard.var() + np.float32(1e-7))
    features = log_mel((heard - heard.mean()) / spread)[None]
    (theirs,) = onnx_session(TURN_END).run(None, {"input_features": features})
    ours = TurnEnd().probability(pcm[3_200:], 0)
    assert ours == pytest.approx(float(theirs[0, 0]), abs=1e-5)


@pytest.mark.models
def test_a_whole_question_is_over_and_a_sentence_that_was_broken_off_is_not(
    said: tuple[str, NDArray[np.int16]], broken_off: NDArray[np.int16]
) -> None:
    model = TurnEnd()
    assert model.probability(said[1].astype(np.float32) / np.float32(32768), 0) > 0.8
    assert model.probability(broken_off.astype(np.float32) / np.float32(32768), 0) < 0.1
