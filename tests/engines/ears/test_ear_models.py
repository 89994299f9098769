from __future__ import annotations

import sys

import pytest

from voicebench.engines.ears.ear_models import EAR_MODELS, fetch_ears
from voicebench.engines.models import CATALOGUE
from voicebench.machine.extras import MissingExtra


def test_the_catalogue_has_all_models_that_hear() -> None:
    assert {model.name for model in CATALOGUE if model.kind == "ears"} == set(EAR_MODELS)


def test_a_missing_package_is_one_sentence_with_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(MissingExtra, match=r"no module 'ctranslate2'.*install.*\[ears\]"):
        fetch_ears()
