"""What is fitted to the machine keeps the voice's sound."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from voicebench.tts.finding import open_voice
from voicebench.tts.tuning import LEAST_SNR_DB, choose_dtype, decoder_snr_db, record_replays

CPU = torch.device("cpu")


@pytest.mark.models
@pytest.mark.slow
def test_a_shorter_decoder_keeps_the_embedded_voice_above_its_error() -> None:
    voice = open_voice("en_US-joe-medium")
    assert decoder_snr_db(voice, torch.bfloat16) >= LEAST_SNR_DB
    assert voice.network.decoder.pre.weight.dtype == torch.float32


@pytest.mark.usefixtures("own_cache")
def test_auto_takes_bfloat16_only_where_it_is_fast_and_exact(
    mms_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = open_voice(str(mms_folder))
    monkeypatch.setattr("voicebench.devices.cpu_has_bfloat16", lambda: False)
    assert choose_dtype("auto", voice, CPU) == torch.float32
    monkeypatch.setattr("voicebench.devices.cpu_has_bfloat16", lambda: True)
    for snr_db, expected in ((36.0, torch.bfloat16), (34.0, torch.float32)):
        monkeypatch.setattr("voicebench.tts.tuning.decoder_snr_db", lambda *_, s=snr_db: s)
        assert choose_dtype("auto", voice, CPU) == expected
    assert choose_dtype("float16", voice, CPU) == torch.float16


@pytest.mark.usefixtures("own_cache")
def test_a_cpu_has_nothing_to_record(mms_folder: Path) -> None:
    voice = open_voice(str(mms_folder))
    assert record_replays(replace(voice, name="any")) is None
