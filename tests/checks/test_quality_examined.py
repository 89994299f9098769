"""How quality is judged; the models themselves are judged in the tests that load them."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest

from voicebench.checks.intelligibility import WordErrors
from voicebench.checks.quality import (
    EXACTLY,
    MOST_WORD_ERRORS,
    WORD_ERROR_MARGIN,
    _samples,
    examine_quality,
    judged_words,
)
from voicebench.engines.tts.speech_noise import snr_db
from voicebench.machine.extras import MissingExtra
from voicebench.settings import Settings


def test_a_tenth_of_the_amplitude_in_error_is_20_db() -> None:
    exact = np.array([1, -1, 1, -1], np.float32)
    assert snr_db(exact, exact * np.float32(1.1)) == pytest.approx(20, abs=1e-4)


def test_equal_samples_have_no_error() -> None:
    exact = np.array([0.5, 0.25], np.float32)
    assert math.isinf(snr_db(exact, exact.copy()))


def test_a_missing_extra_is_named_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(MissingExtra, match=r"faster_whisper.*'voicebench-latency\[quality\]'"):
        next(examine_quality(Settings(), 10, pytest.fail))


@pytest.mark.models
def test_a_voice_without_bfloat16_on_this_machine_is_not_judged_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "voicebench.engines.tts.hibari.hibari_synthesizer.multiplies_bfloats", lambda library: False
    )
    said: list[str] = []
    assert list(_samples(Settings(), said.append)) == []
    assert "bfloat16 is not to be had for the voice hibari-heart here" in said[-1]


def heard(errors: int) -> WordErrors:
    return WordErrors(words=100, substituted=errors, deleted=0, inserted=0)


ALLOWED = round(100 * WORD_ERROR_MARGIN)


def test_a_voice_that_nobody_understands_passes_in_no_way_of_speaking() -> None:
    noise = heard(100)
    found = judged_words({"one-shot": noise, "chunked": noise, "streamed": noise, EXACTLY: noise})
    assert not any(finding.passes for finding in found)
    (barely, not_quite) = (heard(round(100 * MOST_WORD_ERRORS) + more) for more in (0, 1))
    assert judged_words({"one-shot": barely})[0].passes
    assert not judged_words({"one-shot": not_quite}, "figures and names")[0].passes


def test_streamed_speech_may_be_misheard_little_more_often_than_speech_at_once() -> None:
    found = judged_words(
        {"one-shot": heard(5), "chunked": heard(5 + ALLOWED), "streamed": heard(6 + ALLOWED)}
    )
    assert [finding.passes for finding in found] == [True, True, False]
    assert found[2].figures == {
        "word_error_rate": (6 + ALLOWED) / 100,
        "words": 100,
        "errors": 6 + ALLOWED,
    }


@pytest.mark.parametrize(("streamed", "passes"), [(5 + ALLOWED, True), (6 + ALLOWED, False)])
def test_short_numbers_may_be_misheard_little_more_often_than_float32(
    streamed: int, passes: bool
) -> None:
    found = judged_words({"one-shot": heard(30), "streamed": heard(streamed), EXACTLY: heard(5)})
    assert found[1].passes is passes
    assert EXACTLY in found[1].limit
