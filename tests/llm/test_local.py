from __future__ import annotations

import pytest

from voicebench.errors import DeviceError, SettingsError
from voicebench.llm.local import load_language_model


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"max_tokens": 0}, "max_tokens 0 leaves no reply; write 1 or more"),
        ({"temperature": -1.0}, r"temperature -1.0 is out of range; write 0 \(greedy\) or more"),
        ({"temperature": float("nan")}, "temperature nan is out of range"),
        ({"end_after_words": 0}, "end_after_words 0 leaves no reply"),
        ({"engine": "warp"}, "engine 'warp' is unknown; write"),
        ({"dtype": "fp8"}, "dtype 'fp8' is unknown"),
    ],
)
def test_a_setting_out_of_range_is_refused_before_the_model_is_looked_for(settings, sentence):
    with pytest.raises(SettingsError, match=sentence):
        load_language_model("no/such/model/anywhere", device="cpu", **settings)


def test_a_wrong_device_is_refused_before_the_model_is_looked_for():
    with pytest.raises(DeviceError, match="no device name"):
        load_language_model("no/such/model/anywhere", device="gpu")


def test_the_default_system_prompt_asks_for_spoken_sentences_and_an_empty_one_is_left_out(
    tiny_llama,
):
    def system_prompt(**settings):
        model = load_language_model(
            str(tiny_llama), device="cpu", engine="transformers", **settings
        )
        return model.describe()["system_prompt"]

    assert "sentence" in str(system_prompt())
    assert system_prompt(system_prompt="") == ""
