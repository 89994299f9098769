"""French prompts are not spoken by an English voice."""

from __future__ import annotations

import pytest

from voicebench.errors import UsageError
from voicebench.measuring.plan import check_language
from voicebench.measuring.session import check_session
from voicebench.settings import load_settings

FRENCH = load_settings(None, {"run.prompts": "french"}).settings


@pytest.mark.parametrize("language", ["en", "en-us", "EN", None])
def test_french_prompts_need_a_french_voice(language: str | None) -> None:
    with pytest.raises(UsageError, match="hibari-heart speaks English") as caught:
        check_language(FRENCH, {"tts": {"voice": "hibari-heart", "language": language}})
    assert "fr_FR-siwis-medium.onnx" in caught.value.remedy


def test_french_prompts_are_refused_before_a_model_is_loaded() -> None:
    with pytest.raises(UsageError, match="the voice hibari-heart speaks English"):
        check_session(FRENCH)


@pytest.mark.parametrize("description", [{}, {"tts": {}}, {"tts": {"language": "fr"}}])
def test_a_french_voice_and_an_unknown_one_are_let_through(
    description: dict[str, object],
) -> None:
    check_language(FRENCH, description)
    check_language(load_settings().settings, {"tts": {"language": "en"}})
