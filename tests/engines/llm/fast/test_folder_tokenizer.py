from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_models import CHATML, write_tokenizer

from voicebench.engines.llm.fast.model_shape import Unsupported
from voicebench.engines.llm.fast.tokenizer import FolderTokenizer
from voicebench.engines.llm.transformers_tokenizer import TransformersTokenizer
from voicebench.errors import ModelError
from voicebench.text.chat_template import PastMessage, plain_turn

EARLIER = (PastMessage("user", "How are you?"), PastMessage("assistant", "Fine."))


def through_transformers(folder: Path) -> TransformersTokenizer:
    from transformers import AutoTokenizer

    return TransformersTokenizer(AutoTokenizer.from_pretrained(folder))


@pytest.mark.parametrize("template", [CHATML, None, "{{ bos_token }}{{ messages[-1].content }}:"])
@pytest.mark.parametrize("system_prompt", ["Be brief.", ""])
def test_a_turn_is_laid_out_as_transformers_does(
    tmp_path: Path, template: str | None, system_prompt: str
) -> None:
    write_tokenizer(tmp_path, chat_template=template)
    own, theirs = FolderTokenizer(tmp_path), through_transformers(tmp_path)
    for prompt in ("What is the capital of France?", "Ça va ? 👋🏽", "  two  spaces\n"):
        ids = own.encode_turn(system_prompt, prompt)
        assert ids == theirs.encode_turn(system_prompt, prompt)
        assert own.decode(ids) == theirs.decode(ids)
        ids = own.encode_turn(system_prompt, prompt, EARLIER)
        assert ids == theirs.encode_turn(system_prompt, prompt, EARLIER)
    assert own.turn_ends == theirs.turn_ends
    assert own.ends_at_line == theirs.ends_at_line == (template is None)


def test_what_was_said_before_is_laid_out_in_turn(tmp_path: Path) -> None:
    write_tokenizer(tmp_path, chat_template=CHATML)
    tokenizer = FolderTokenizer(tmp_path)
    text = tokenizer._lay_out("Be brief.", "And you?", EARLIER)
    roles = [line.split("<|im_start|>")[1] for line in text.splitlines() if "<|im_start|>" in line]
    assert roles == ["system", "user", "assistant", "user", "assistant"]
    places = [text.index(words) for words in ("Be brief.", "How are you?", "Fine.", "And you?")]
    assert places == sorted(places)


SAID_NEXT = ("What?", "  two  spaces\n", "7", "Ça va ? 👋🏽", "<|im_end|>\n<|im_start|>", "\n.")


@pytest.mark.parametrize("template", [CHATML, None, "{{ bos_token }}{{ messages[-1].content }}:"])
def test_a_remembered_beginning_changes_no_id(tmp_path: Path, template: str | None) -> None:
    write_tokenizer(tmp_path, chat_template=template)
    remembers, fresh = FolderTokenizer(tmp_path), FolderTokenizer(tmp_path)
    for count in range(12):
        said = EARLIER * (1 + count % 4)
        begins = remembers.encode_beginning("Be brief.", said)
        for prompt in SAID_NEXT:
            ids = fresh.encode_turn("Be brief.", prompt, said)
            assert remembers.encode_turn("Be brief.", prompt, said) == ids
            # Without a template the space before a prompt may become part of its first id.
            assert ids[: len(begins)] == begins or template is None
        for other in (EARLIER, (), (*said, *EARLIER)):
            ids = fresh.encode_turn("Be brief.", "Who?", other)
            assert remembers.encode_turn("Be brief.", "Who?", other) == ids


def test_with_a_remembered_beginning_only_the_prompt_is_encoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tokenizer(tmp_path)
    tokenizer = FolderTokenizer(tmp_path)
    tokenizer.encode_beginning("Be brief.", EARLIER)
    encoded: list[str] = []
    encode = tokenizer._encode

    def noting(text: str, *, special: bool) -> list[int]:
        encoded.append(text)
        return encode(text, special=special)

    monkeypatch.setattr(tokenizer, "_encode", noting)
    tokenizer.encode_turn("Be brief.", "Well?", EARLIER)
    tokenizer.encode_turn("Be kind.", "Well?", EARLIER)
    assert encoded[0] == "user\nWell?<|im_end|>\n<|im_start|>assistant\n"
    assert encoded[1].startswith("<|im_start|>system\nBe kind.")


def test_where_a_special_token_takes_the_space_behind_it_nothing_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tokenizer that encodes a text otherwise than its two halves is not taken apart."""
    write_tokenizer(tmp_path)
    tokenizer = FolderTokenizer(tmp_path)
    encode = tokenizer._encode
    monkeypatch.setattr(
        tokenizer, "_encode", lambda text, *, special: [1, *encode(text, special=special)]
    )
    tokenizer.encode_beginning("", EARLIER)
    assert not tokenizer._beginnings


def test_without_a_system_role_its_words_go_before_all_that_was_said(tmp_path: Path) -> None:
    write_tokenizer(
        tmp_path,
        chat_template="{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}"
        "{% for message in messages %}{{ message.role[0] }}:{{ message.content }}|{% endfor %}",
    )
    laid_out = FolderTokenizer(tmp_path)._lay_out("Brief.", "And you?", EARLIER)
    assert laid_out == "u:Brief.\n\nHow are you?|a:Fine.|u:And you?|"


def test_a_model_without_a_template_gets_what_was_said_line_by_line() -> None:
    assert plain_turn("Brief.", "And you?", EARLIER) == (
        "Brief.\n\nUser: How are you?\nAssistant: Fine.\nUser: And you?\nAssistant:"
    )


def test_a_template_in_a_file_of_its_own_goes_before_the_settings(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    (tmp_path / "chat_template.jinja").write_text("<{{ messages[-1].content }}>")
    tokenizer = FolderTokenizer(tmp_path)
    assert tokenizer.decode(tokenizer.encode_turn("", "Hello")) == "<Hello>"


def test_of_several_named_templates_the_default_is_taken(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    settings["chat_template"] = [
        {"name": "tool_use", "template": "tools"},
        {"name": "default", "template": "[{{ messages[-1].content }}]"},
    ]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer = FolderTokenizer(tmp_path)
    assert tokenizer.decode(tokenizer.encode_turn("", "Hello")) == "[Hello]"


def test_a_template_without_a_system_role_gets_its_words_before_the_users(tmp_path: Path) -> None:
    write_tokenizer(
        tmp_path,
        chat_template="{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}"
        "{{ messages[0].content }}>",
    )
    tokenizer = FolderTokenizer(tmp_path)
    assert tokenizer.decode(tokenizer.encode_turn("Brief.", "Hello")) == "Brief.\n\nHello>"


def test_a_template_cannot_reach_out_of_its_sandbox(tmp_path: Path) -> None:
    write_tokenizer(tmp_path, chat_template="{{ messages.__class__.__base__.__subclasses__() }}")
    tokenizer = FolderTokenizer(tmp_path)
    with pytest.raises(ModelError, match=r"chat template .* cannot be rendered"):
        tokenizer.encode_turn("", "Hello")


def test_a_template_of_an_unknown_kind_is_unsupported(tmp_path: Path) -> None:
    write_tokenizer(tmp_path, chat_template="{% generation %}x{% endgeneration %}")
    with pytest.raises(Unsupported, match="chat template"):
        FolderTokenizer(tmp_path)


def test_special_tokens_given_as_objects_are_read(tmp_path: Path) -> None:
    write_tokenizer(tmp_path, chat_template="{{ eos_token }}")
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    settings["eos_token"] = {"content": "<|endoftext|>", "special": True}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer = FolderTokenizer(tmp_path)
    assert tokenizer.encode_turn("", "Hello") == [0]
    assert 0 in tokenizer.turn_ends


def test_turn_ends_come_from_all_settings_of_the_folder(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"eos_token_id": 7}))
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [8, 9]}))
    assert {0, 2, 7, 8, 9} == FolderTokenizer(tmp_path).turn_ends


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("tokenizer.json", None, "holds no tokenizer.json"),
        ("tokenizer.json", b"{", "is no tokenizer"),
        ("tokenizer_config.json", b"[1]", "holds no JSON object"),
        ("tokenizer_config.json", b"{", "is no JSON"),
        ("config.json", b"\xff\xfe", "is no JSON"),
    ],
)
def test_a_broken_file_is_told_in_one_sentence(
    tmp_path: Path, name: str, content: bytes | None, sentence: str
) -> None:
    write_tokenizer(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=sentence) as raised:
        FolderTokenizer(tmp_path)
    assert "\n" not in str(raised.value)
