"""The embedded hibari voice, for real: against onnxruntime, in windows, and what it says."""

from __future__ import annotations

import ctypes
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from voicebench.audio.pcm import AudibleRule, first_audible_sample
from voicebench.engines.models import store
from voicebench.engines.tts.hibari.hibari_synthesizer import HibariSynthesizer
from voicebench.engines.tts.hibari.hibari_voice import HibariVoice, SpokenPart, open_hibari
from voicebench.engines.tts.hibari.native_network import NativeNetwork
from voicebench.engines.tts.hibari.planned_sentence import SETTLING, plan, windows
from voicebench.engines.tts.hibari.sizes import BINS, PARTS
from voicebench.engines.tts.hibari.torch_network import TorchNetwork
from voicebench.engines.tts.native_stream import multiplies_bfloats
from voicebench.engines.tts.speech_noise import seeded_noise, snr_db
from voicebench.engines.tts.synthesizer import load_synthesizer
from voicebench.errors import ModelError, SettingsError
from voicebench.events import AudioChunk, SilenceTrimmed

pytestmark = pytest.mark.models

NAME = "hibari-heart"
SENTENCE = "The capital of France is Paris, and it has been so for a very long time."


@pytest.fixture(scope="module")
def folder() -> Path:
    return store.ensure(NAME)


@pytest.fixture(scope="module")
def voice(folder: Path) -> HibariVoice:
    return open_hibari(folder, NAME)


@pytest.fixture(scope="module")
def synthesizer() -> HibariSynthesizer:
    loaded = load_synthesizer(NAME, first_window=100)
    assert isinstance(loaded, HibariSynthesizer)
    return loaded


def test_phonemes_are_those_that_the_voice_was_trained_on(voice: HibariVoice) -> None:
    assert list(voice.english.sentences("Dr. Smith read 3 books. Did he?")) == [
        "dˈɑktəɹ smˈɪθ ɹˈɛd θɹˈi bˈʊks.",
        "dˈɪd hi?",
    ]
    assert list(voice.english.sentences("Zyxgorian well-known YouTube U.S. cars")) == [
        "zɪksɡˈɔɹiən wˌɛlnˈOn jˈutˌub jˌuˈɛs kˈɑɹz"
    ]
    for nothing in ("", "…", "🙂", "---", "\n"):
        assert list(voice.sentences(nothing)) == []


def test_a_long_sentence_is_cut_into_parts_the_voice_can_speak(voice: HibariVoice) -> None:
    parts = list(voice.sentences("and another thing, " * 60 + "was there."))
    assert len(parts) > 1
    assert max(len(part.symbols) for part in parts) <= 402


def test_the_network_computes_what_onnxruntime_computes(folder: Path, voice: HibariVoice) -> None:
    """onnxruntime rounds what goes into each product to 8 bits; here all is float32."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        str(folder / "hibari.onnx"), providers=["CPUExecutionProvider"]
    )
    [sentence] = voice.sentences(SENTENCE)
    inputs = {"ids": np.array([sentence.symbols]), "speed": np.ones(1, np.float32)}
    *spectra, pitch = (output[0] for output in session.run(None, inputs))
    planned = plan(TorchNetwork(voice.weights), sentence)
    assert planned.pitch.shape == pitch.shape  # every duration is the same
    voiced = pitch > 60
    assert np.abs(planned.pitch - pitch)[voiced].mean() < 2  # Hz
    parts = TorchNetwork(voice.weights).decode(planned.rows)
    for number, right in enumerate(spectra):
        found = parts[:, number * BINS : (number + 1) * BINS]
        error = np.sqrt(np.square(found - right.T).mean())
        assert error < 0.1 * right.std(), number
    assert len(spectra) == PARTS


def test_a_decoder_of_bfloat16_stays_35_db_above_its_error(
    voice: HibariVoice, c_library: ctypes.CDLL
) -> None:
    if not multiplies_bfloats(c_library):
        pytest.skip("this processor does not multiply tiles of bfloat16")
    exact, short = (NativeNetwork(c_library, voice.weights, bfloats=b) for b in (False, True))
    for text in ("It is Paris.", SENTENCE):
        [part] = voice.sentences(text)
        planned = plan(exact, part)
        whole, rough = (
            np.concatenate(
                [*windows(network, planned, seeded_noise(0, ""), itertools.repeat(1 << 30))]
            )
            for network in (exact, short)
        )
        assert snr_db(whole, rough) > 35


def test_windows_are_the_whole(synthesizer: HibariSynthesizer) -> None:
    def spoken(windows: HibariSynthesizer) -> np.ndarray:
        events = [*windows.speak_opening(SENTENCE)]
        assert isinstance(events[0], SilenceTrimmed)
        return np.concatenate([event.pcm for event in events if isinstance(event, AudioChunk)])

    in_one = load_synthesizer(NAME, first_window=60_000)
    assert isinstance(in_one, HibariSynthesizer)
    assert len([*synthesizer.speak(SENTENCE)]) > 3
    tolerance = 1e-3 if synthesizer.describe()["dtype"] == "float32" else 1e-2
    assert np.abs(spoken(synthesizer) - spoken(in_one)).max() < tolerance


def test_the_first_sound_comes_at_once(synthesizer: HibariSynthesizer) -> None:
    [trimmed, *chunks] = synthesizer.speak_opening("The capital of")
    assert isinstance(trimmed, SilenceTrimmed)
    assert trimmed.duration_ms > 200
    pcm = np.concatenate([chunk.pcm for chunk in chunks if isinstance(chunk, AudioChunk)])
    heard = first_audible_sample(pcm, 24_000, AudibleRule())
    assert heard is not None
    assert heard < 0.015 * 24_000


def test_a_longer_first_window_is_more_of_the_same_speech(synthesizer: HibariSynthesizer) -> None:
    short, long = (
        [e.pcm for e in synthesizer.speak_opening(SENTENCE, ms) if isinstance(e, AudioChunk)]
        for ms in (0.0, 200.0)
    )
    assert abs(long[0].size - short[0].size - 0.2 * 24_000) <= 600  # but for a half frame
    whole = np.concatenate(short)
    assert np.abs(np.concatenate(long) - whole).max() < 1e-2


def test_skipped_silence_hardly_changes_the_beginning(
    voice: HibariVoice, synthesizer: HibariSynthesizer
) -> None:
    network = TorchNetwork(voice.weights)
    for text in ("The capital of", "France is Paris.", "I think", "She sells sea shells."):
        [sentence] = voice.sentences(text)
        planned = plan(network, sentence)
        exact = network.decode(planned.rows)[planned.first : planned.first + 24]
        begun = network.stream()
        found = begun.window(planned.rows[planned.first - SETTLING :], last=True)
        error = found[SETTLING : SETTLING + 24] - exact
        loudness = np.exp(np.minimum(exact[:, :BINS], 7))
        assert np.abs(error[:, :BINS] * loudness).mean() < 0.02 * loudness.mean(), text


def test_a_part_of_a_sentence_is_spoken_as_in_the_whole(voice: HibariVoice) -> None:
    """Pitch and length of the words at a join, against the whole sentence (in semitones)."""
    network = TorchNetwork(voice.weights)
    text, before, behind = "The old sailor told us a story", "The old sailor", "told us a story"

    def words(sentence: SpokenPart) -> list[tuple[float, int]]:
        planned = plan(network, sentence)
        heard = planned.pitch[planned.first : planned.last]
        return [(float(12 * np.log2(heard[heard > 60].mean() / 200)), planned.frames)]

    [whole] = voice.sentences(f"{text}.")
    [opening] = voice.sentences(before)
    [closing] = voice.sentences(f"{behind}.", before)
    stop = opening.stop
    [(pitch, frames)] = words(opening)
    [(wanted, length)] = words(SpokenPart(whole.symbols, 0, stop))
    assert abs(pitch - wanted) < 1.5
    assert abs(frames - length) < 0.25 * length
    [(pitch, frames)] = words(closing)
    [(wanted, length)] = words(SpokenPart(whole.symbols, stop, len(whole.symbols)))
    assert abs(pitch - wanted) < 1.0
    assert abs(frames - length) < 0.15 * length


def test_nothing_is_added_behind_a_sentence_that_ends(voice: HibariVoice) -> None:
    [ended], [open_] = voice.sentences("It is Paris."), voice.sentences("It is Paris")
    assert ended.stop == len(ended.symbols)
    assert open_.stop < len(open_.symbols)
    assert ended.symbols[: open_.stop - 1] == open_.symbols[: open_.stop - 1]


def test_settings_that_it_does_not_have_are_refused() -> None:
    with pytest.raises(SettingsError, match="no speaker_id"):
        load_synthesizer(NAME, speaker_id=1)
    with pytest.raises(SettingsError, match="not float16"):
        load_synthesizer(NAME, dtype="float16")


def test_a_gpu_that_is_not_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicebench.machine.devices.cuda_device_count", lambda: 1)
    described = load_synthesizer(NAME, device="auto").describe()
    assert "though this machine has an NVIDIA GPU" in str(described["slower_because"])


def test_a_chunk_goes_on_from_one_that_says_nothing(voice: HibariVoice) -> None:
    [alone], [behind] = voice.sentences("It is Paris."), voice.sentences("It is Paris.", "🙂")
    assert alone == behind


def test_a_folder_without_one_of_its_files_is_refused(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        if file.name != "tagger.json.gz":
            (tmp_path / file.name).symlink_to(file)
    with pytest.raises(ModelError, match=r"no tagger\.json\.gz"):
        open_hibari(tmp_path, "mine")
    (tmp_path / "tagger.json.gz").write_bytes(b"no gzip")
    with pytest.raises(ModelError, match="cannot be read"):
        open_hibari(tmp_path, "mine")


def test_what_results_record(synthesizer: HibariSynthesizer) -> None:
    described = json.loads(json.dumps(synthesizer.describe()))
    assert (described["engine"], described["sample_rate"]) == ("hibari", 24000)
