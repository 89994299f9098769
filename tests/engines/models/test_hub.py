"""A name that resembles one of the catalogue is answered with it, and no hub is asked."""

from __future__ import annotations

import pytest

from voicebench.engines.models.hub import catalogued_like, hub_folder
from voicebench.errors import ModelError


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("hibari-hart", "hibari-heart"),
        ("smolm2-135m-instruct", "smollm2-135m-instruct"),
        ("en_us-jo-medium", "en_US-joe-medium"),
        ("gpt2", None),
        ("owner/hibari-heart", None),
    ],
)
def test_the_name_that_was_meant(name: str, meant: str | None) -> None:
    assert catalogued_like(name) == meant


def test_a_wrong_name_is_one_sentence() -> None:
    with pytest.raises(ModelError, match="there is no voice 'hibari-hart' here") as caught:
        hub_folder("hibari-hart", "voice", ["*.json"])
    assert "did you mean hibari-heart?" in caught.value.remedy
