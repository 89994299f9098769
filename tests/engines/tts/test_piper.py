"""Piper's files: what is read from them, and which sentence a broken one gets."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import onnx
import pytest

from voicebench.engines.tts.piper import MOST_PHONEMES, open_piper, read_settings
from voicebench.errors import ModelError

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def copied(piper_file: Path, tmp_path: Path) -> Path:
    """Return a copy of the small voice that a test may break."""
    for suffix in ("", ".json"):
        shutil.copy(f"{piper_file}{suffix}", tmp_path)
    return tmp_path / piper_file.name


def change_settings(path: Path, **changes: Any) -> None:
    place = path.with_name(path.name + ".json")
    stored = json.loads(place.read_text(encoding="utf-8"))
    place.write_text(json.dumps(stored | changes), encoding="utf-8")


@pytest.mark.slow
def test_the_voice_says_what_it_is(piper_file: Path) -> None:
    voice = open_piper(piper_file)
    assert (voice.name, voice.family) == ("en_XX-small-low", "piper")
    assert (voice.language, voice.sample_rate, voice.shape.speakers) == ("en-us", 8000, 1)
    assert (voice.manner.noise_scale, voice.manner.length_scale, voice.manner.noise_w) == (
        0.5,
        1.5,
        0.6,
    )


@pytest.mark.slow
def test_a_second_load_reads_no_onnx(piper_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_piper(piper_file)
    monkeypatch.setattr("onnx.load_model_from_string", lambda content: pytest.fail("read again"))
    open_piper(piper_file)


@pytest.mark.slow
def test_sentences_become_symbols_as_in_piper(piper_file: Path) -> None:
    from piper import PiperConfig, PiperVoice

    stored = json.loads(piper_file.with_name(piper_file.name + ".json").read_text("utf-8"))
    reference = PiperVoice(session=None, config=PiperConfig.from_dict(stored))
    text = "Hello there. How are you, Dr. Smith? It's 9:45!"
    theirs = [reference.phonemes_to_ids(sentence) for sentence in reference.phonemize(text)]
    assert len(theirs) > 2
    assert list(open_piper(piper_file).symbols(text)) == theirs


@pytest.mark.slow
@pytest.mark.parametrize("text", ["", "  ", "...", "—", "😀", "?!"])
def test_nothing_to_pronounce_gives_no_symbols(text: str, piper_file: Path) -> None:
    assert list(open_piper(piper_file).symbols(text)) == []


@pytest.mark.slow
def test_an_endless_sentence_is_spoken_in_parts(piper_file: Path) -> None:
    lengths = [len(symbols) for symbols in open_piper(piper_file).symbols("seven " * 2000)]
    assert len(lengths) > 5
    assert max(lengths) <= 2 * MOST_PHONEMES + 3


@pytest.mark.slow
def test_a_cut_off_file_is_refused(copied: Path) -> None:
    content = copied.read_bytes()
    copied.write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match="cut off"):
        open_piper(copied)


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"", b"not a model", b"\x80\x04pickle", b"GGUF\x03\0\0\0"])
def test_a_file_of_another_kind_is_refused(content: bytes, copied: Path) -> None:
    copied.write_bytes(content)
    with pytest.raises(ModelError, match=copied.name):
        open_piper(copied)


@pytest.mark.slow
def test_another_onnx_network_is_refused(copied: Path) -> None:
    node = onnx.helper.make_node("Relu", ["x"], ["y"], name="/relu/Relu")
    ends = [onnx.helper.make_tensor_value_info(name, 1, [1]) for name in "xy"]
    graph = onnx.helper.make_graph([node], "other", ends[:1], ends[1:])
    onnx.save(onnx.helper.make_model(graph), copied)
    with pytest.raises(ModelError, match="not a Piper voice"):
        open_piper(copied)


@pytest.mark.slow
def test_a_voice_that_lacks_a_weight_is_refused(copied: Path) -> None:
    model = onnx.load(copied)
    node = next(n for n in model.graph.node if n.name == "/dec/conv_pre/Conv")
    node.name = "/elsewhere/Conv"
    onnx.save(model, copied)
    with pytest.raises(ModelError, match=r"no convolution dec\.conv_pre"):
        open_piper(copied)


@pytest.mark.slow
def test_a_voice_with_a_weight_that_is_no_number_is_refused(copied: Path) -> None:
    model = onnx.load(copied)
    weight = next(t for t in model.graph.initializer if t.name == "dec.conv_pre.bias")
    weight.CopyFrom(onnx.helper.make_tensor(weight.name, 1, weight.dims, [float("nan")] * 16))
    onnx.save(model, copied)
    with pytest.raises(ModelError, match="not finite"):
        open_piper(copied)


def test_a_voice_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no voice .*none\.onnx"):
        open_piper(tmp_path / "none.onnx")


@pytest.mark.slow
def test_a_missing_settings_file_is_named(copied: Path) -> None:
    copied.with_name(copied.name + ".json").unlink()
    with pytest.raises(ModelError, match=r"\.onnx\.json is missing"):
        open_piper(copied)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"phoneme_type": "pinyin"}, "pinyin"),
        ({"phoneme_id_map": {}}, "'_'"),
        ({"phoneme_id_map": {"_": [0], "^": [1], "$": []}}, "no id for"),
        ({"phoneme_id_map": {"_": [0], "^": [1], "$": [-2]}}, "negative"),
        ({"audio": {}}, "sample_rate"),
        ({"audio": {"sample_rate": 1}}, "sample_rate is 1"),
        ({"espeak": None}, "TypeError"),
    ],
)
def test_settings_of_another_kind_are_refused(
    changes: dict[str, Any], words: str, copied: Path
) -> None:
    change_settings(copied, **changes)
    with pytest.raises(ModelError, match=words):
        read_settings(copied.with_name(copied.name + ".json"))


@pytest.mark.slow
def test_a_byte_order_mark_is_no_part_of_the_settings(copied: Path) -> None:
    place = copied.with_name(copied.name + ".json")
    before = read_settings(place)
    place.write_bytes(b"\xef\xbb\xbf" + place.read_bytes())
    assert read_settings(place) == before


@pytest.mark.slow
@pytest.mark.parametrize("content", ["", "{", "[]", "null", "\ud800", "[" * 100_000])
def test_a_settings_file_that_is_no_json_object_is_refused(content: str, copied: Path) -> None:
    place = copied.with_name(copied.name + ".json")
    place.write_bytes(content.encode(errors="surrogatepass"))
    with pytest.raises(ModelError, match=place.name):
        read_settings(place)


@pytest.mark.slow
def test_settings_of_another_voice_are_refused(copied: Path) -> None:
    change_settings(copied, phoneme_id_map={"_": [0], "^": [1], "$": [2], "a": [999]})
    with pytest.raises(ModelError, match="symbol 999"):
        open_piper(copied)


@pytest.mark.slow
def test_an_unknown_language_is_refused_before_loading(copied: Path) -> None:
    change_settings(copied, espeak={"voice": "xx-zz"})
    with pytest.raises(ModelError, match="xx-zz"):
        open_piper(copied)
