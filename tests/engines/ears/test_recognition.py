from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from voicebench.engines.ears.recognition import Recognition, words_until

if TYPE_CHECKING:
    from numpy.typing import NDArray


def test_words_behind_the_end_of_the_speech_are_dropped() -> None:
    zero = 100
    one_segment = [100, 1, 2, 3, 150]
    assert words_until(one_segment, 1.0, zero) == ([1, 2, 3], True)
    assert words_until([*one_segment, 150, 1, 2], 1.0, zero) == ([1, 2, 3], True)
    # A time in the middle of the speech ends nothing.
    assert words_until([*one_segment, 150, 4, 5, 200], 2.0, zero) == ([1, 2, 3, 4, 5], True)
    # A sentence that is begun again has no time at its end.
    assert words_until([*one_segment, 150, 4, 5], 2.0, zero) == ([1, 2, 3, 4, 5], False)
    assert words_until([], 1.0, zero) == ([], False)


@pytest.fixture(scope="module")
def recognition() -> Recognition:
    return Recognition()


@pytest.mark.models
def test_a_sentence_is_understood_without_being_padded_to_thirty_seconds(
    recognition: Recognition, said: tuple[str, NDArray[np.int16]]
) -> None:
    sentence, frames = said
    found = recognition.transcribe(np.pad(frames / np.float32(32768), (3_200, 1_024)))
    assert found.text == sentence
    assert found.log_probability > -0.5


@pytest.mark.models
def test_silence_has_no_words(recognition: Recognition) -> None:
    found = recognition.transcribe(np.zeros(16_000, np.float32))
    assert not found.text or found.no_speech > 0.5
