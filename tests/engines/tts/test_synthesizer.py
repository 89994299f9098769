"""The synthesizer: windows that join without a trace, cancelling, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from voicebench.engines.native.library import NoLibrary
from voicebench.engines.tts.local_synthesizer import LocalSynthesizer
from voicebench.engines.tts.speech_noise import snr_db
from voicebench.engines.tts.synthesizer import load_synthesizer
from voicebench.engines.tts.vits.torch_voice import TorchArithmetic, Vits
from voicebench.engines.tts.vits.vits_synthesizer import VitsSynthesizer
from voicebench.errors import DeviceError, EngineError, ModelError, SettingsError
from voicebench.events import AudioChunk, SilenceTrimmed
from voicebench.machine.slower import slower_in
from voicebench.settings import load_settings
from voicebench.targets.engine_opening import open_voice

pytestmark = pytest.mark.usefixtures("own_cache")

TEXT = "hello my friend, how are you doing on this fine day"


Loaded = Callable[..., VitsSynthesizer]


@pytest.fixture
def synthesizer(loaded: Loaded, way: dict[str, str]) -> VitsSynthesizer:
    return loaded(first_window=20, **way)


@pytest.fixture
def in_torch(mms_folder: Path) -> VitsSynthesizer:
    """A synthesizer of its own, whose layers a test may watch or change."""
    made = load_synthesizer(str(mms_folder), device="cpu", first_window=20, kernels="torch")
    assert isinstance(made, VitsSynthesizer)
    return made


def network_in(synthesizer: VitsSynthesizer) -> Vits:
    assert isinstance(synthesizer._arithmetic, TorchArithmetic)
    return synthesizer._arithmetic.network


def spoken(synthesizer: LocalSynthesizer, text: str = TEXT) -> np.ndarray:
    chunks = [event.pcm for event in synthesizer.speak(text) if isinstance(event, AudioChunk)]
    return np.concatenate(chunks) if chunks else np.empty(0, np.float32)


def test_audio_comes_in_windows_of_float32_mono(loaded: Loaded) -> None:
    slow = loaded(first_window=20, length_scale=120.0)
    events = list(slow.speak(TEXT))
    assert len(events) > 2
    assert all(isinstance(event, AudioChunk) for event in events)
    chunks = [event for event in events if isinstance(event, AudioChunk)]
    assert {chunk.sample_rate for chunk in chunks} == {8000}
    assert {chunk.pcm.dtype for chunk in chunks} == {np.dtype(np.float32)}
    assert all(chunk.pcm.ndim == 1 for chunk in chunks)
    assert 160 <= chunks[0].pcm.size <= 176  # 20 ms, to the next frame
    assert max(np.abs(chunk.pcm).max() for chunk in chunks) <= 1.0


@pytest.mark.parametrize("first_window", [0.125, 3, 50, 333])
def test_windows_of_any_size_give_the_samples_of_one(
    first_window: float, loaded: Loaded, way: dict[str, str]
) -> None:
    whole, streamed = (
        spoken(loaded(dtype="float32", first_window=ms, **way)) for ms in (1e6, first_window)
    )
    np.testing.assert_allclose(streamed, whole, atol=1e-4)


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.usefixtures("users_cache")
def test_the_embedded_voice_streams_the_samples_of_one_window() -> None:
    at_once, short, long = (
        load_synthesizer("en_US-joe-medium", device="cpu", first_window=ms) for ms in (1e6, 12, 140)
    )
    for text in ("Hi.", "It is forty two, of course! Isn't it?"):
        whole = spoken(at_once, text)
        assert whole.shape[0] > 5000
        for streaming in (short, long):
            np.testing.assert_allclose(spoken(streaming, text), whole, atol=1e-3)


def imported_to_speak(voice: str, **settings: object) -> set[str]:
    """Return what a new process imports to speak with ``voice``, which is in the cache."""
    load_synthesizer(voice, device="cpu", **settings)  # type: ignore[arg-type]
    program = (
        "import sys; from voicebench.engines.tts.synthesizer import load_synthesizer; "
        f"voice = load_synthesizer({voice!r}, device='cpu', **{settings!r}); "
        "assert list(voice.speak_opening('hello')); "
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, timeout=300, capture_output=True, text=True
    )
    return set(done.stdout.split())


@pytest.mark.slow
def test_a_loaded_voice_speaks_without_onnx_or_transformers(piper_file: Path) -> None:
    imported = imported_to_speak(str(piper_file), kernels="torch")
    assert "torch" in imported
    assert not imported & {"onnx", "onnxruntime", "transformers"}


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.usefixtures("c_library", "users_cache")
@pytest.mark.parametrize("voice", ["en_US-joe-medium", "hibari-heart"])
def test_a_loaded_voice_speaks_in_c_without_torch(voice: str) -> None:
    imported = imported_to_speak(voice)
    assert "voicebench.engines.tts.vits.native_voice" in imported
    assert not imported & {"torch", "onnx", "onnxruntime", "transformers"}


def test_the_same_text_sounds_the_same_and_another_seed_does_not(loaded: Loaded) -> None:
    first, again, other = (spoken(loaded(seed=seed)) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other[: len(first)])


def test_a_text_sounds_the_same_whatever_was_said_before(synthesizer: VitsSynthesizer) -> None:
    alone = spoken(synthesizer)
    spoken(synthesizer, "something else")
    assert np.array_equal(alone, spoken(synthesizer))


@pytest.mark.parametrize("text", ["", "🙂", "—", "...", "  "])
def test_nothing_to_pronounce_yields_nothing(text: str, synthesizer: VitsSynthesizer) -> None:
    assert list(synthesizer.speak(text)) == []


def test_closing_cancels_what_is_left(in_torch: VitsSynthesizer) -> None:
    decoder = network_in(in_torch).decoder
    computed = []
    decoder.register_forward_hook(lambda *_: computed.append(1))
    speech = in_torch.speak(TEXT)
    next(speech)
    until_first = len(computed)
    speech.close()  # type: ignore[attr-defined]
    assert len(computed) == until_first
    assert list(speech) == []


def test_a_long_text_is_not_computed_before_it_is_needed(in_torch: VitsSynthesizer) -> None:
    encoded = []
    network_in(in_torch).text.register_forward_hook(lambda *_: encoded.append(1))
    speech = in_torch.speak("many words " * 2_000)
    next(speech)
    assert len(encoded) == 1


def test_the_head_of_a_reply_is_trimmed_and_says_by_how_much(
    in_torch: VitsSynthesizer, loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VitsSynthesizer, "_silent_ms", lambda *_: 45.0)  # else a blank's length
    decoder = network_in(in_torch).decoder
    quiet_until = 300

    def hush(_module: object, _inputs: object, samples: torch.Tensor) -> torch.Tensor:
        nonlocal quiet_until
        quiet = min(quiet_until, samples.shape[0])
        quiet_until -= quiet
        return torch.cat([samples[:quiet] * 1e-4, samples[quiet:]])

    whole = spoken(loaded(first_window=20, kernels="torch"))
    decoder.register_forward_hook(hush)
    first, *others = in_torch.speak_opening(TEXT)
    assert isinstance(first, SilenceTrimmed)
    assert 250 / 8 < first.duration_ms <= 300 / 8
    heard = np.concatenate([event.pcm for event in others if isinstance(event, AudioChunk)])
    assert heard.size == whole.size - round(first.duration_ms * 8)
    np.testing.assert_allclose(heard[-300:], whole[-300:], atol=1e-4)


def test_only_the_head_of_a_reply_is_trimmed(loaded: Loaded) -> None:
    trimming = loaded(seed=0)
    assert not any(isinstance(event, SilenceTrimmed) for event in trimming.speak(TEXT))
    untouched = loaded(trim_silence=False)
    opened = list(untouched.speak_opening(TEXT))
    assert opened
    assert not any(isinstance(event, SilenceTrimmed) for event in opened)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_gpu_speaks_as_a_cpu_does(loaded: Loaded) -> None:
    on_cpu, on_gpu = (
        spoken(loaded(dtype="float32", kernels="torch", first_window=20, device=device))
        for device in ("cpu", "cuda")
    )
    assert snr_db(on_cpu, on_gpu) > 60  # TF32 reaches some 50


def test_scales_change_the_pace(loaded: Loaded) -> None:
    slow, fast = (spoken(loaded(length_scale=scale)) for scale in (10.0, 5.0))
    assert 1.3 * len(fast) < len(slow) < 2.5 * len(fast)


def test_describe_says_what_a_reader_must_know(
    synthesizer: VitsSynthesizer, way: dict[str, str]
) -> None:
    told = synthesizer.describe()
    assert told["engine"] == "vits"
    assert told["family"] == "mms"
    assert told["voice"] == "mms-small"
    assert told["language"] == "eng"
    assert told["sample_rate"] == 8000
    assert str(told["device"]).partition(":")[0] == way["device"]
    assert told["kernels"] == way["kernels"]
    windows = told["windows"]
    assert isinstance(windows, dict)
    assert windows["replayed"] == (way["device"] == "cuda")
    assert told["dtype"] in ("float32", "bfloat16")


def test_a_voice_gone_wrong_fails_with_a_sentence(loaded: Loaded) -> None:
    broken = loaded(length_scale=1e30)
    with pytest.raises(EngineError, match="length"):
        list(broken.speak(TEXT))


def test_a_device_without_memory_fails_with_a_sentence(in_torch: VitsSynthesizer) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    network_in(in_torch).flow.register_forward_pre_hook(full)
    with pytest.raises(EngineError, match="cpu has no memory left"):
        list(in_torch.speak(TEXT))


def test_two_texts_at_once_sound_as_they_do_alone(synthesizer: VitsSynthesizer) -> None:
    texts = [TEXT, "another text at the very same time"]
    alone = [spoken(synthesizer, text) for text in texts]
    with ThreadPoolExecutor() as pool:
        together = list(pool.map(lambda text: spoken(synthesizer, text), texts * 2))
    for found, expected in zip(together, alone * 2, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_speaker_that_does_not_exist_is_refused(mms_folder: Path) -> None:
    with pytest.raises(SettingsError, match="no speaker 1"):
        load_synthesizer(str(mms_folder), device="cpu", speaker_id=1)


def test_a_wrong_device_is_refused_before_the_voice_is_looked_at() -> None:
    with pytest.raises(DeviceError, match="gpu"):
        load_synthesizer("no/such/voice", device="gpu")


@pytest.mark.parametrize("voice", ["../no such voice", "/no/such/folder", "smollm2-135m-instruct!"])
def test_an_unknown_voice_is_refused(voice: str) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        load_synthesizer(voice, device="cpu")


def test_a_hub_voice_that_is_not_at_hand_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="hub"):
        load_synthesizer("facebook/mms-tts-zzz", device="cpu")


@pytest.mark.parametrize(("wanted", "is_named"), [("auto", True), ("torch", False)])
def test_torch_in_place_of_c_is_named_where_nobody_asked_for_it(
    mms_folder: Path, monkeypatch: pytest.MonkeyPatch, wanted: str, is_named: bool
) -> None:
    def no_compiler(*_: object) -> None:
        raise NoLibrary("there is no C compiler")

    monkeypatch.setattr("voicebench.engines.tts.fitting.tried_library", no_compiler)
    settings = load_settings(
        None, {"tts.voice": str(mms_folder), "tts.device": "cpu", "tts.kernels": wanted}
    ).settings
    said: list[str] = []
    voice = open_voice(settings, said.append)
    slower = slower_in(voice.describe())
    assert (slower is not None) == is_named
    told = [line for line in said if line.startswith("the voice is computed in torch")]
    assert len(told) == is_named
    if told:
        assert "there is no C compiler; install a C compiler" in told[0]
