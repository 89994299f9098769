from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_gguf import CHAT_TEMPLATE, TOKENS, Shape, llama_weights, write_gguf

from voicebench.engines.models.gguf_header import Header, read_header
from voicebench.engines.models.gguf_tokenizer import (
    SPLIT_RULES,
    SplitRule,
    build_tokenizer,
    split_rule,
    tokenizer_config,
    write_tokenizer,
)


@pytest.fixture
def header(tmp_path: Path) -> Callable[..., Header]:
    def make(**options: Any) -> Header:
        shape = Shape(layers=1)
        path = tmp_path / "tiny.gguf"
        write_gguf(path, shape, weights=llama_weights(shape), **options)
        return read_header(path)

    return make


def rule_of(header: Header) -> SplitRule:
    rule = split_rule(header)
    assert rule is not None
    return rule


def pieces(header: Header, text: str) -> list[str]:
    return list(build_tokenizer(header, rule_of(header)).encode(text).tokens)


def test_merges_are_applied_within_words(header: Callable[..., Header]) -> None:
    assert pieces(header(), "hello hello") == ["hello", "Ġhello"]


def test_smollm_cuts_out_every_digit_before_anything_is_merged(
    header: Callable[..., Header],
) -> None:
    # "1 2" is a merge of this vocabulary; only the split rule keeps the digits apart.
    assert pieces(header(pre="smollm"), "  12") == ["ĠĠ", "1", "2"]
    assert pieces(header(pre="gpt-2"), "  12") == ["Ġ", "Ġ", "12"]


def test_qwen_cuts_single_digits_and_llama_three_at_a_time(header: Callable[..., Header]) -> None:
    assert pieces(header(pre="qwen2"), "12") == ["1", "2"]
    assert pieces(header(pre="llama-bpe"), "12") == ["12"]


def test_text_is_brought_to_composed_form_only_where_the_model_was_trained_so(
    header: Callable[..., Header],
) -> None:
    decomposed = "e\N{COMBINING ACUTE ACCENT}"
    assert len(pieces(header(pre="qwen2"), decomposed)) == 2  # é, in two bytes
    assert len(pieces(header(pre="smollm"), decomposed)) == 3


def test_special_tokens_are_never_split_and_have_their_own_numbers(
    header: Callable[..., Header],
) -> None:
    made = header()
    rule = rule_of(made)
    encoding = build_tokenizer(made, rule).encode("<|im_start|>hello<|im_end|>")
    assert encoding.ids == [1, TOKENS.index("hello"), 2]


@pytest.mark.parametrize("pre", SPLIT_RULES)
@pytest.mark.parametrize("text", ["hello 12,  hello\n\n", "é « 日本 » 👋🏽 \t x", "don't", "  "])
def test_what_is_encoded_decodes_to_the_same_text(
    header: Callable[..., Header], pre: str, text: str
) -> None:
    made = header(pre=pre)
    rule = rule_of(made)
    tokenizer = build_tokenizer(made, rule)
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids) == text


def test_a_text_begins_with_its_token_only_where_the_file_asks_for_it(
    header: Callable[..., Header],
) -> None:
    made = header(pre="llama-bpe")
    assert pieces(made, "hello") == ["hello"]  # the file says add_bos_token = false
    del made.settings["tokenizer.ggml.add_bos_token"]
    assert pieces(made, "hello") == ["<|im_start|>", "hello"]


@pytest.mark.parametrize("pre", ["no-such-rule", "tekken"])
def test_a_rule_that_is_not_known_here_is_not_guessed(
    header: Callable[..., Header], pre: str
) -> None:
    assert split_rule(header(pre=pre)) is None


def test_a_vocabulary_of_another_kind_is_left_to_transformers(
    header: Callable[..., Header],
) -> None:
    made = header()
    del made.settings["tokenizer.ggml.merges"]
    assert split_rule(made) is None


def test_the_config_names_special_tokens_template_and_longest_text(
    header: Callable[..., Header], tmp_path: Path
) -> None:
    made = header()
    write_tokenizer(made, SPLIT_RULES["smollm"], tmp_path)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert config == tokenizer_config(made)
    assert config["bos_token"] == "<|im_start|>"
    assert config["eos_token"] == "<|im_end|>"
    assert config["unk_token"] == "<|endoftext|>"
    assert config["pad_token"] == "<|im_end|>"
    assert config["chat_template"] == CHAT_TEMPLATE
    assert config["model_max_length"] == 128


def test_a_token_number_outside_the_vocabulary_is_left_out(header: Callable[..., Header]) -> None:
    made = header(settings={"tokenizer.ggml.mask_token_id": 3})
    setting = made.settings["tokenizer.ggml.eos_token_id"]
    made.settings["tokenizer.ggml.eos_token_id"] = type(setting)(99_999, 0, 0)
    assert "eos_token" not in tokenizer_config(made)


def test_transformers_reads_the_folder_and_makes_the_same_tokens(
    header: Callable[..., Header], tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    made = header()
    folder = tmp_path / "folder"
    folder.mkdir()
    rule = rule_of(made)
    write_tokenizer(made, rule, folder)
    loaded = AutoTokenizer.from_pretrained(folder)
    text = "<|im_start|>hello  12<|im_end|>"
    assert loaded(text)["input_ids"] == build_tokenizer(made, rule).encode(text).ids
    assert (loaded.eos_token_id, loaded.bos_token_id, loaded.pad_token_id) == (2, 1, 2)
    rendered = loaded.apply_chat_template([{"role": "user", "content": "hello"}], tokenize=False)
    assert rendered == "<|im_start|>hello<|im_end|>"
