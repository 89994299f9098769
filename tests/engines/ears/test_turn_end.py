from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from voicebench.engines.ears.turn_end import HEARD_SAMPLES, TurnEnd

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Listening:
    """Keeps the features that the model is given."""

    def run(self, names: None, given: dict[str, NDArray[np.float32]]) -> list[Any]:
        self.features = given["input_features"]
        return [np.array([[0.25]], np.float32)]


def test_the_model_hears_eight_seconds_however_much_was_said() -> None:
    session = Listening()
    model = TurnEnd(session)
    for samples in (1_600, HEARD_SAMPLES, 2 * HEARD_SAMPLES):
        assert model.probability(np.ones(samples, np.float32), 0) == 0.25
        assert session.features.shape == (1, 80, 800)


def test_missing_silence_is_put_behind_the_speech() -> None:
    rng = np.random.default_rng(1)
    speech = rng.standard_normal(16_000).astype(np.float32)
    given = []
    for silent in (0, 1_024, 3_200):
        session = Listening()
        TurnEnd(session).probability(np.pad(speech, (0, silent)), silent)
        given.append(session.features)
    np.testing.assert_array_equal(given[0], given[2])
    np.testing.assert_array_equal(given[1], given[2])


@pytest.mark.models
def test_a_whole_question_is_over_and_a_sentence_that_was_broken_off_is_not(
    said: tuple[str, NDArray[np.int16]], broken_off: NDArray[np.int16]
) -> None:
    model = TurnEnd()
    assert model.probability(said[1].astype(np.float32) / np.float32(32768), 0) > 0.9
    assert model.probability(broken_off.astype(np.float32) / np.float32(32768), 0) < 0.1
