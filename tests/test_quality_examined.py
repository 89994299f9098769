"""How quality is judged; the models themselves are judged in the tests that load them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from voicebench.quality import WORD_ERROR_MARGIN, judged_words, signal_to_error_db
from voicebench.tts.intelligibility import WordErrors


def test_a_tenth_of_the_amplitude_in_error_is_20_db() -> None:
    exact = np.array([1, -1, 1, -1], np.float32)
    assert signal_to_error_db(exact, exact * np.float32(1.1)) == pytest.approx(20, abs=1e-4)


def test_equal_samples_have_no_error() -> None:
    exact = np.array([0.5, 0.25], np.float32)
    assert math.isinf(signal_to_error_db(exact, exact.copy()))


def test_streamed_speech_may_be_misheard_little_more_often_than_speech_at_once() -> None:
    def heard(errors: int) -> WordErrors:
        return WordErrors(words=100, substituted=errors, deleted=0, inserted=0)

    allowed = round(100 * WORD_ERROR_MARGIN)
    found = judged_words(
        {"one-shot": heard(10), "chunked": heard(10 + allowed), "streamed": heard(11 + allowed)}
    )
    assert [finding.passes for finding in found] == [True, True, False]
    assert found[2].figures == {
        "word_error_rate": (11 + allowed) / 100,
        "words": 100,
        "errors": 11 + allowed,
    }
