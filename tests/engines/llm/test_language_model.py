from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import torch
from small_models import tiny_llama_config, write_model, write_tokenizer

from voicebench.engines.llm import agreement as quality
from voicebench.engines.llm.generation import SPOKEN_SYSTEM_PROMPT, InProcessLanguageModel
from voicebench.engines.llm.language_model import load_language_model, measure_quality
from voicebench.engines.native.library import NoLibrary
from voicebench.errors import DeviceError, ModelError, SettingsError
from voicebench.events import Token
from voicebench.machine.slower import slower_in


@pytest.fixture(autouse=True)
def _cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, c_library_or_none: ctypes.CDLL | None
) -> None:
    """Findings of a test's models stay out of the user's cache."""
    monkeypatch.setenv("VOICEBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def other_family(tmp_path: Path) -> Path:
    from transformers import GPT2Config

    write_tokenizer(tmp_path)
    sizes: dict[str, Any] = {
        "vocab_size": 400,
        "n_positions": 256,
        "n_embd": 32,
        "n_layer": 2,
        "n_head": 2,
    }
    write_model(tmp_path, GPT2Config(**sizes, eos_token_id=2))
    return tmp_path


def load(folder: Path | str, **settings: Any) -> InProcessLanguageModel:
    return load_language_model(str(folder), device="cpu", **settings)


def text_of(model: InProcessLanguageModel, prompt: str = "What is the capital of France?") -> str:
    return "".join(event.text for event in model.reply(prompt) if isinstance(event, Token))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"max_tokens": 0}, "max_tokens 0 leaves no reply; write 1 or more"),
        ({"temperature": -1.0}, r"temperature -1.0 is out of range; write 0 \(greedy\) or more"),
        ({"temperature": float("nan")}, "temperature nan is out of range"),
        ({"end_after_words": 0}, "end_after_words 0 leaves no reply"),
        ({"engine": "warp"}, "engine 'warp' is unknown; write auto or fast or transformers"),
        ({"precision": "fp4"}, "precision 'fp4' is unknown; write auto or fp32"),
        ({"kernels": "magic"}, "kernels 'magic' is unknown; write auto or native or torch"),
        ({"dtype": "fp8"}, "dtype 'fp8' is unknown"),
        ({"dtype": "float16", "precision": "fp32"}, "contradict each other"),
        ({"engine": "transformers", "precision": "int8"}, "has no precision int8"),
    ],
)
def test_a_setting_out_of_range_is_refused_before_the_model_is_looked_for(
    settings: dict[str, object], sentence: str
) -> None:
    with pytest.raises(SettingsError, match=sentence):
        load("no/such/model/anywhere", **settings)


def test_a_wrong_device_is_refused_before_the_model_is_looked_for() -> None:
    with pytest.raises(DeviceError, match="not a device name"):
        load_language_model("no/such/model/anywhere", device="gpu")


def test_the_default_system_prompt_asks_for_short_answers_and_an_empty_one_is_left_out(
    tiny_llama: Path,
) -> None:
    def system_prompt(**settings: object) -> object:
        return load(tiny_llama, precision="fp32", **settings).describe()["system_prompt"]

    assert system_prompt() == SPOKEN_SYSTEM_PROMPT
    assert "short" in SPOKEN_SYSTEM_PROMPT
    assert system_prompt(system_prompt="") == ""


def test_the_fast_engine_answers_as_transformers_does(tiny_llama: Path) -> None:
    replies = [
        text_of(load(tiny_llama, engine=engine, precision="fp32", max_tokens=40))
        for engine in ("fast", "transformers")
    ]
    assert replies[0] == replies[1]
    assert len(replies[0]) > 20


def test_a_llama_goes_to_the_fast_engine_and_another_family_to_transformers(
    tiny_llama: Path, other_family: Path
) -> None:
    assert load(tiny_llama, precision="fp32").describe()["engine"] == "fast"
    other = load(other_family, max_tokens=5)
    assert other.describe()["engine"] == "transformers"
    list(other.reply("Hello"))


def test_the_fast_engine_says_why_it_cannot_run_a_model(other_family: Path) -> None:
    for settings in ({"engine": "fast"}, {"precision": "int8"}):
        with pytest.raises(ModelError, match=r"cannot run .*: its architecture is 'gpt2'; write"):
            load(other_family, **settings)
    with pytest.raises(ModelError, match="nothing to measure"):
        measure_quality(str(other_family), device="cpu")


def test_auto_says_that_it_measures_and_does_so_once(
    tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_pairs = quality.held_out_pairs()[:2]
    monkeypatch.setattr(quality, "held_out_pairs", lambda: two_pairs)
    said: list[str] = []
    first = load(tiny_llama, say=said.append)
    assert any("measuring" in message for message in said)
    said.clear()
    second = load(tiny_llama, say=said.append)
    assert said == []
    assert second.describe() == first.describe()
    assert text_of(first) == text_of(second)


def test_a_dtype_is_a_precision_in_torchs_words(tiny_llama: Path) -> None:
    assert load(tiny_llama, dtype="float32").describe()["precision"] == "fp32"
    general = load(tiny_llama, dtype="bfloat16", engine="transformers")
    assert general.describe()["dtype"] == "bfloat16"


def test_the_system_prompts_frame_is_computed_before_the_first_turn(tiny_llama: Path) -> None:
    short = load(tiny_llama, precision="fp32", system_prompt="Be brief.").describe()
    long = load(tiny_llama, precision="fp32", system_prompt="Be brief. " * 10).describe()
    few, many = short["kept_prefix_tokens"], long["kept_prefix_tokens"]
    assert isinstance(few, int)
    assert isinstance(many, int)
    assert 0 < few < many


def test_a_system_prompt_longer_than_the_context_leaves_an_error_for_the_turn(
    tiny_llama: Path,
) -> None:
    from voicebench.errors import EngineError

    model = load(tiny_llama, precision="fp32", system_prompt="Be brief. " * 200)
    with pytest.raises(EngineError, match="context of 256"):
        list(model.reply("Hello"))


def test_every_way_to_compute_is_measured_and_the_result_kept(
    tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_pairs = quality.held_out_pairs()[:2]
    monkeypatch.setattr(quality, "held_out_pairs", lambda: two_pairs)
    measured = list(measure_quality(str(tiny_llama), device="cpu"))
    assert all(one.token_ms > 0 for one in measured)
    exact = next(one for one in measured if one.name == "plain fp32")
    assert exact.quality.agreement == 1.0
    assert exact.quality.passes
    said: list[str] = []
    load(tiny_llama, say=said.append)
    assert said == []


@pytest.mark.parametrize(
    ("name", "spoil", "sentence"),
    [
        ("model.safetensors", lambda data: data[: len(data) // 2], "cannot be read"),
        ("model.safetensors", lambda data: b"\x80\x04 a pickle", "cannot be read"),
        ("tokenizer.json", lambda data: data[: len(data) // 2], "is no tokenizer"),
        ("config.json", lambda data: data[: len(data) // 2], "cannot be read"),
        ("config.json", lambda data: b"[]", "holds no JSON object"),
        ("config.json", None, "holds no config.json"),
    ],
)
def test_a_broken_file_is_told_in_one_sentence(
    tiny_llama: Path,
    copy_of: Callable[[Path], Path],
    name: str,
    spoil: Callable[[bytes], bytes] | None,
    sentence: str,
) -> None:
    folder = copy_of(tiny_llama)
    data = (folder / name).read_bytes()
    if spoil is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(spoil(data))
    with pytest.raises(ModelError, match=sentence) as raised:
        load(folder)
    assert "\n" not in str(raised.value)


def test_the_fast_engine_does_not_import_transformers(tiny_llama: Path) -> None:
    script = (
        "import sys, voicebench.engines.llm.language_model as local\n"
        f"model = local.load_language_model({str(tiny_llama)!r}, precision='fp32', max_tokens=4)\n"
        "list(model.reply('Hello'))\n"
        "assert model.describe()['engine'] == 'fast'\n"
        "assert 'transformers' not in sys.modules"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120, env=environment)


def test_several_replies_at_once_do_not_disturb_each_other(tiny_llama: Path) -> None:
    model = load(tiny_llama, precision="fp32", max_tokens=12)
    prompts = ["Hello world", "The quick brown fox", "What is this?"]
    alone = [text_of(model, prompt) for prompt in prompts]
    replies = [model.reply(prompt) for prompt in prompts]
    together = [""] * len(prompts)
    for _ in range(20):
        for number, reply in enumerate(replies):
            event = next(reply, None)
            together[number] += event.text if isinstance(event, Token) else ""
    assert together == alone


def test_a_cancelled_reply_leaves_the_model_as_it_was(tiny_llama: Path) -> None:
    model = load(tiny_llama, precision="fp32", max_tokens=12)
    expected = text_of(model)
    for _ in range(3):
        reply = model.reply("The quick brown fox")
        next(reply)
        assert isinstance(reply, Generator)
        reply.close()
    assert text_of(model) == expected


def test_a_large_context_costs_no_memory_before_it_is_used(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    write_model(tmp_path, tiny_llama_config(max_position_embeddings=131_072))
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["max_position_embeddings"] == 131_072
    model = load(tmp_path, precision="fp32", max_tokens=3)
    assert text_of(model)
    assert torch.get_num_threads() == 1


def no_compiler(*_: object) -> None:
    raise NoLibrary("there is no C compiler")


@pytest.mark.parametrize(
    ("settings", "is_named"),
    [
        ({}, True),
        ({"precision": "int8"}, True),
        ({"kernels": "torch"}, False),
        ({"precision": "fp32"}, False),
    ],
)
def test_torch_in_place_of_c_is_named_where_nobody_asked_for_it(
    tiny_llama: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, object], is_named: bool
) -> None:
    monkeypatch.setattr("voicebench.engines.llm.fast.choosing.tried_library", no_compiler)
    slower = slower_in(load(tiny_llama, **settings).describe())
    assert (slower is not None) == is_named
    if slower is not None:
        assert slower.because.endswith("there is no C compiler")
        assert "apt install gcc" in slower.remedy


def test_c_that_was_asked_for_and_cannot_be_had_is_said_with_the_reason(
    tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voicebench.engines.llm.fast.choosing.tried_library", no_compiler)
    with pytest.raises(SettingsError, match=r"cannot compute here \(there is no C compiler"):
        load(tiny_llama, kernels="native")


def test_a_model_that_only_transformers_can_compute_is_said_to_be_one(other_family: Path) -> None:
    said: list[str] = []
    load(other_family, say=said.append)
    assert "the fast engine cannot run" in said[0]
