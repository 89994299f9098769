"""What is fitted to the machine keeps the voice's sound."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest

from voicebench.engines.native.library import NoLibrary
from voicebench.engines.tts.finding import open_voice
from voicebench.engines.tts.fitting import (
    LEAST_SNR_DB,
    arithmetic_snr_db,
    choose_arithmetic,
    record_replays,
    torch_arithmetic,
)
from voicebench.engines.tts.native_stream import multiplies_bfloats
from voicebench.engines.tts.vits.torch_voice import TorchArithmetic
from voicebench.errors import SettingsError

CPU = "cpu"


@pytest.mark.models
@pytest.mark.slow
def test_a_shorter_decoder_keeps_the_embedded_voice_above_its_error() -> None:
    voice = open_voice("en_US-joe-medium")
    assert arithmetic_snr_db(voice, torch_arithmetic(voice, dtype="bfloat16")) >= LEAST_SNR_DB


@pytest.mark.usefixtures("own_cache")
def test_auto_takes_bfloat16_only_where_it_is_fast_and_exact(
    mms_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = open_voice(str(mms_folder))

    def chosen(dtype: str = "auto") -> str:
        return choose_arithmetic(voice, CPU, dtype=dtype, kernels="torch").dtype

    monkeypatch.setattr("voicebench.machine.devices.cpu_has_bfloat16", lambda: False)
    assert chosen() == "float32"
    monkeypatch.setattr("voicebench.machine.devices.cpu_has_bfloat16", lambda: True)
    for snr_db, expected in ((36.0, "bfloat16"), (34.0, "float32")):
        monkeypatch.setattr(
            "voicebench.engines.tts.fitting.arithmetic_snr_db", lambda *_, s=snr_db: s
        )
        assert chosen() == expected
    assert chosen("float16") == "float16"


@pytest.mark.usefixtures("own_cache")
def test_a_shorter_decoder_that_is_refused_leaves_the_weights_exact(
    mms_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = open_voice(str(mms_folder))
    monkeypatch.setattr("voicebench.machine.devices.cpu_has_bfloat16", lambda: True)
    monkeypatch.setattr("voicebench.engines.tts.fitting.LEAST_SNR_DB", float("inf"))
    chosen = choose_arithmetic(voice, CPU, kernels="torch")
    assert isinstance(chosen, TorchArithmetic)
    for name, weight in chosen.network.state_dict().items():
        np.testing.assert_array_equal(weight, voice.weights[name])


@pytest.mark.usefixtures("own_cache")
def test_c_computes_a_voice_where_it_can_and_torch_where_not(
    mms_folder: Path, monkeypatch: pytest.MonkeyPatch, c_library: ctypes.CDLL
) -> None:
    voice = open_voice(str(mms_folder))
    assert choose_arithmetic(voice, CPU).kernels == "native"
    assert choose_arithmetic(voice, CPU, dtype="float16").kernels == "torch"
    assert choose_arithmetic(voice, CPU, kernels="torch").kernels == "torch"
    with pytest.raises(SettingsError, match="not float16 on cpu"):
        choose_arithmetic(voice, CPU, dtype="float16", kernels="native")

    def no_compiler(*_: object) -> None:
        raise NoLibrary("there is no C compiler")

    monkeypatch.setattr("voicebench.engines.tts.fitting.tried_library", no_compiler)
    assert choose_arithmetic(voice, CPU).kernels == "torch"
    with pytest.raises(SettingsError, match=r"no C compiler.*set tts\.kernels to auto"):
        choose_arithmetic(voice, CPU, kernels="native")


@pytest.mark.usefixtures("own_cache")
def test_a_short_decoder_in_c_is_taken_where_the_audio_stays_above_its_error(
    mms_folder: Path, monkeypatch: pytest.MonkeyPatch, c_library: ctypes.CDLL
) -> None:
    voice = open_voice(str(mms_folder))
    if not multiplies_bfloats(c_library):
        pytest.skip("this processor does not multiply tiles of bfloat16")
    for snr_db, expected in ((36.0, "bfloat16"), (34.0, "float32")):
        monkeypatch.setattr(
            "voicebench.engines.tts.fitting.arithmetic_snr_db", lambda *_, s=snr_db: s
        )
        assert choose_arithmetic(voice, CPU).dtype == expected


@pytest.mark.usefixtures("own_cache")
def test_an_error_is_measured_once_for_the_weights_of_a_voice(
    mms_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = open_voice(str(mms_folder))
    rough = torch_arithmetic(voice, dtype="bfloat16")
    first = arithmetic_snr_db(voice, rough)
    monkeypatch.setattr("voicebench.engines.tts.fitting._probe", None)
    assert arithmetic_snr_db(voice, rough) == first


@pytest.mark.usefixtures("own_cache")
def test_a_cpu_has_nothing_to_record(mms_folder: Path) -> None:
    voice = open_voice(str(mms_folder))
    arithmetic = torch_arithmetic(voice)
    record_replays(voice, arithmetic)
    assert not arithmetic.replayed
