"""A script in a language that the caller's voice does not speak is refused, with a way out."""

from __future__ import annotations

import pytest

from voicebench.calls.call_script import CallScript, CallStep
from voicebench.calls.running.line_rendering import check_voice, open_line_voice
from voicebench.errors import CannotMeasure
from voicebench.text.prompts import primary_subtag

TEXT = CallStep("line", pieces=("Bonjour.",), text="Bonjour.", limit_ms=1000)


def test_a_french_script_and_an_english_voice_are_refused_with_both_remedies() -> None:
    script = CallScript("bonjour", (TEXT,), language="fr")
    with pytest.raises(CannotMeasure, match="the script is in 'fr'") as caught:
        check_voice(script, "en")
    assert caught.value.remedy is not None
    assert "wav and text" in caught.value.remedy
    assert "call.voice" in caught.value.remedy
    check_voice(script, "fr")
    check_voice(script, primary_subtag("fr_CA"))
    for says_nothing in (None, "unknown", "fra"):
        check_voice(script, says_nothing)


@pytest.mark.models
def test_a_voice_says_its_language() -> None:
    about = open_line_voice("hibari-heart", 0.9, lambda _line: None).describe()
    with pytest.raises(CannotMeasure):
        check_voice(CallScript("bonjour", (TEXT,), language="fr"), str(about["language"]))
