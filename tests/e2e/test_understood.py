"""The default voice is understood, and streaming it does not make it harder to understand.

A sample of the sentences, because hearing all forty in three ways takes minutes; the figures for
all of them stand in the docs.
"""

from __future__ import annotations

import pytest

from voicebench.checks.intelligibility import SENTENCES, intelligibility
from voicebench.checks.recogniser import Recogniser
from voicebench.engines.tts.synthesizer import load_synthesizer

SAMPLE = SENTENCES[::10]


@pytest.mark.models
@pytest.mark.slow
def test_the_default_voice_is_understood_also_when_it_streams() -> None:
    voice = load_synthesizer("hibari-heart", device="cpu")
    found = intelligibility(voice, Recogniser(), SAMPLE)
    one_shot, streamed = found["one-shot"], found["streamed"]
    assert one_shot.words > 35
    assert one_shot.rate <= 0.15
    assert streamed.errors <= one_shot.errors + 2  # of four sentences; see the docs for forty
    assert abs(streamed.errors - found["chunked"].errors) <= 1
