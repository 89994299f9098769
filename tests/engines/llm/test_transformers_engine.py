from __future__ import annotations

import json
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import torch
from small_models import tiny_llama_config, write_model, write_tokenizer

from voicebench.engines.llm import transformers_engine
from voicebench.engines.llm.generation import InProcessLanguageModel
from voicebench.engines.llm.language_model import load_language_model
from voicebench.engines.llm.transformers_engine import TransformersEngine
from voicebench.engines.llm.transformers_tokenizer import TransformersTokenizer
from voicebench.errors import EngineError, ModelError
from voicebench.events import Token, Usage
from voicebench.text.chat_template import PastMessage, plain_turn


def load(folder: Path, **settings: Any) -> InProcessLanguageModel:
    settings = {"device": "cpu", "dtype": "float32", "engine": "transformers"} | settings
    return load_language_model(str(folder), **settings)


def load_parts(folder: Path) -> tuple[TransformersEngine, TransformersTokenizer]:
    return transformers_engine.load(
        folder, name="tiny", device="cpu", dtype="float32", temperature=0.0, seed=0
    )


def reply(
    model: InProcessLanguageModel, prompt: str = "What is the capital of France?"
) -> tuple[str, Usage]:
    events = list(model.reply(prompt))
    assert isinstance(events[-1], Usage)
    return "".join(event.text for event in events if isinstance(event, Token)), events[-1]


def test_the_reply_is_the_greedy_reply_of_transformers(tiny_llama: Path) -> None:
    from transformers import AutoModelForCausalLM

    engine, tokenizer = load_parts(tiny_llama)
    prompt_ids = tokenizer.encode_turn("Be brief.", "Hello world?")
    reference: Any = AutoModelForCausalLM.from_pretrained(tiny_llama)
    expected = reference.generate(
        torch.tensor([prompt_ids]), max_new_tokens=40, do_sample=False, eos_token_id=-1
    )[0, len(prompt_ids) :].tolist()
    sampled = engine.generate(prompt_ids)
    assert [next(sampled) for _ in range(40)] == expected
    assert len(set(expected)) > 5


def test_the_shown_text_is_the_decoded_reply(tiny_llama: Path) -> None:
    engine, tokenizer = load_parts(tiny_llama)
    model = load(tiny_llama, max_tokens=30, system_prompt="Be brief.")
    text, usage = reply(model, "Hello world?")
    sampled = engine.generate(tokenizer.encode_turn("Be brief.", "Hello world?"))
    ids = [next(sampled) for _ in range(usage.tokens)]
    assert text == tokenizer.decode(ids)
    assert text


def test_no_id_is_sampled_before_it_is_asked_for(
    tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[int] = []
    forward = transformers_engine.TransformersEngine._forward

    def counted(
        self: TransformersEngine, ids: torch.Tensor, cache: Any
    ) -> tuple[torch.Tensor, object]:
        passes.append(ids.shape[1])
        return forward(self, ids, cache)

    monkeypatch.setattr(transformers_engine.TransformersEngine, "_forward", counted)
    engine, tokenizer = load_parts(tiny_llama)
    prompt_ids = tokenizer.encode_turn("", "Hi")
    sampled = engine.generate(prompt_ids)
    assert passes == []
    next(sampled)
    next(sampled)
    assert passes == [len(prompt_ids), 1]


def test_the_caller_of_a_reply_keeps_its_gradients(tiny_llama: Path) -> None:
    events = load(tiny_llama).reply("Hello")
    next(events)
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
    assert isinstance(events, Generator)
    events.close()


def test_a_temperature_draws_and_its_seed_repeats_the_reply(tiny_llama: Path) -> None:
    def drawn(seed: int) -> str:
        return reply(load(tiny_llama, temperature=1.5, seed=seed, max_tokens=20))[0]

    model = load(tiny_llama, temperature=1.5, seed=1, max_tokens=20)
    assert reply(model)[0] == reply(model)[0] == drawn(1)
    assert drawn(1) != drawn(2)


def test_a_turn_end_of_the_generation_settings_ends_the_reply(
    tiny_llama: Path, copy_of: Callable[[Path], Path]
) -> None:
    engine, tokenizer = load_parts(tiny_llama)
    sampled = engine.generate(tokenizer.encode_turn("", "Hi"))
    third = [next(sampled) for _ in range(3)][2]
    folder = copy_of(tiny_llama)
    settings = folder / "generation_config.json"
    settings.write_text(json.dumps({"eos_token_id": [2, third]}), encoding="utf-8")
    assert reply(load(folder, system_prompt=""), "Hi")[1].tokens <= 2


def test_a_model_without_a_chat_template_gets_a_plain_turn_and_answers_one_line(
    tmp_path: Path,
) -> None:
    write_tokenizer(tmp_path, chat_template=None)
    write_model(tmp_path, tiny_llama_config())
    _, tokenizer = load_parts(tmp_path)
    ids = tokenizer.encode_turn("Be brief.", "Hello?")
    assert tokenizer.decode(ids) == "Be brief.\n\nUser: Hello?\nAssistant:"
    assert tokenizer.decode(ids) == plain_turn("Be brief.", "Hello?")
    assert tokenizer.ends_at_line


def test_a_template_without_a_system_role_gets_its_words_before_the_users(tmp_path: Path) -> None:
    template = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "{{ messages[0].content }}>"
    )
    write_tokenizer(tmp_path, chat_template=template)
    write_model(tmp_path, tiny_llama_config())
    _, tokenizer = load_parts(tmp_path)
    assert tokenizer.decode(tokenizer.encode_turn("Be brief.", "Hello?")) == "Be brief.\n\nHello?>"


def test_a_prompt_beyond_the_context_is_an_engine_error(tiny_llama: Path) -> None:
    with pytest.raises(EngineError, match="a context of 256; shorten the prompt"):
        list(load(tiny_llama).reply("Hello world. " * 300))


def test_a_reply_fills_the_context_and_no_more(tiny_llama: Path) -> None:
    model = load(tiny_llama, max_tokens=4000, system_prompt="")
    _, tokenizer = load_parts(tiny_llama)
    prompt = "fox " * 100
    left = 256 - len(tokenizer.encode_turn("", prompt))
    assert 0 < left < 256
    assert reply(model, prompt)[1].tokens <= left


def test_another_architecture_answers_too(tmp_path: Path) -> None:
    from transformers import GPT2Config

    write_tokenizer(tmp_path)
    config = GPT2Config(
        vocab_size=400, n_positions=256, n_embd=32, n_layer=2, n_head=2, eos_token_id=2
    )
    write_model(tmp_path, config)
    model = load(tmp_path, max_tokens=5)
    assert isinstance(reply(model)[1], Usage)
    assert model.describe()["architecture"] == "gpt2"


def test_a_description_names_what_computes(tiny_llama: Path) -> None:
    described = load(tiny_llama).describe()
    assert described["engine"] == "transformers"
    assert described["device"] == "cpu"
    assert described["dtype"] == "float32"
    assert described["context_tokens"] == 256


@pytest.mark.parametrize(
    ("name", "spoil", "sentence"),
    [
        ("model.safetensors", lambda data: data[: len(data) // 2], "cannot be loaded"),
        ("model.safetensors", lambda data: b"\x80\x04 a pickle", "cannot be loaded"),
        ("tokenizer.json", lambda data: data[: len(data) // 2], "cannot be loaded"),
        ("config.json", lambda data: data[: len(data) // 2], "cannot be loaded"),
        ("config.json", lambda data: b'{"model_type": "whatever"}', "cannot be loaded"),
        (
            "config.json",
            lambda data: data.replace(b'"num_hidden_layers": 2', b'"num_hidden_layers": 3'),
            "lacks",
        ),
    ],
    ids=["cut weights", "pickle", "cut tokenizer", "cut config", "unknown kind", "missing layer"],
)
def test_a_broken_file_is_told_in_one_sentence(
    tiny_llama: Path,
    copy_of: Callable[[Path], Path],
    name: str,
    spoil: Callable[[bytes], bytes],
    sentence: str,
) -> None:
    folder = copy_of(tiny_llama)
    data = (folder / name).read_bytes()
    spoiled = spoil(data)
    assert spoiled != data
    (folder / name).write_bytes(spoiled)
    with pytest.raises(ModelError, match=sentence) as raised:
        load(folder)
    assert "\n" not in str(raised.value)


def test_a_folder_with_pickled_weights_only_is_refused_unread(
    tiny_llama: Path, copy_of: Callable[[Path], Path]
) -> None:
    folder = copy_of(tiny_llama)
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pickled ones are never opened"):
        load(folder)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no config"):
        load(tmp_path)


def test_a_conversation_is_computed_again_in_every_turn_and_it_says_so(tiny_llama: Path) -> None:
    model = load(tiny_llama, max_tokens=4)
    assert model.describe()["kept_mb"] == 0
    said = (PastMessage("user", "Hello?"), PastMessage("assistant", "Hi."))
    first = model.in_conversation((), "talk")
    later = model.in_conversation(said, "talk")
    usages = []
    for talk in (first, later):
        usages.append(reply(talk)[1])
        talk.prepare_next()
    assert [usage.cached_tokens for usage in usages] == [0, 0]
    assert (usages[1].prompt_tokens or 0) > (usages[0].prompt_tokens or 0)
