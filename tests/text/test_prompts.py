"""The prompts: what is built in, what a file may hold, and what is never measured twice."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebench.errors import UsageError
from voicebench.text import prompts
from voicebench.text.prompts import PromptSet, check_prompt, language_of, load

BUILT_IN = ["english", "french", "reference"]


def spoken(text: str) -> str:
    return " ".join(text.casefold().split())


@pytest.mark.parametrize("name", BUILT_IN)
def test_no_built_in_prompt_is_written_twice_or_both_measured_and_warmed(name: str) -> None:
    prompt_set = load(name)
    everything = [spoken(prompt) for prompt in prompt_set.measured + prompt_set.warmup]
    assert len(set(everything)) == len(everything)
    assert len(prompt_set.warmup) >= 8


@pytest.mark.parametrize("name", ["english", "french"])
def test_a_language_has_at_least_forty_short_prompts_of_many_lengths(name: str) -> None:
    measured = load(name).measured
    sizes = [sum(any(map(str.isalpha, word)) for word in text.split()) for text in measured]
    assert len(measured) >= 40
    assert min(sizes) in (3, 4)
    assert max(sizes) in (13, 14, 15)
    assert len(set(sizes)) >= 8


@pytest.mark.parametrize("kind", ["measured", "warmup"])
def test_the_reference_prompts_are_as_long_as_the_reference_texts(kind: str) -> None:
    texts: tuple[str, ...] = getattr(load("reference"), kind)
    assert len(texts) == 8
    assert all(65 <= len(text) <= 78 for text in texts)


def test_the_reference_warms_up_with_prompts_of_its_own() -> None:
    assert not set(load("reference").warmup) & set(load("english").warmup)


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_prompts_are_written_in_plain_characters(name: str) -> None:
    prompt_set = load(name)
    for prompt in prompt_set.measured + prompt_set.warmup:
        assert prompt == unicodedata.normalize("NFC", prompt)
        assert prompt[-1] in ".?"


def test_the_language_chooses_the_set() -> None:
    assert load() == load("english")
    assert load(None, "fr-fr") == load("french")
    assert load(None, "de-de") == load("english")


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("en-us", "en"),
        ("en_GB", "en"),
        ("eng", "en"),
        ("fr-fr", "fr"),
        ("fr_CA", "fr"),
        ("FRA", "fr"),
        ("fr", "fr"),
        ("fro", "en"),
        ("de", "en"),
        ("", "en"),
        (None, "en"),
    ],
)
def test_a_language_tag_names_a_built_in_language_or_english(
    tag: str | None, language: str
) -> None:
    assert language_of(tag) == language


def test_prompts_rotate_in_order_and_wrap() -> None:
    prompt_set = PromptSet(("a", "b", "c"), ("x", "y"))
    assert prompt_set.rotate(0) == ()
    assert prompt_set.rotate(2) == ("a", "b")
    assert prompt_set.rotate(7) == ("a", "b", "c", "a", "b", "c", "a")
    assert prompt_set.rotate_warmup(3) == ("x", "y", "x")


def test_a_measured_prompt_never_warms_up_whatever_its_case_and_spaces() -> None:
    prompt_set = PromptSet(("Who  ARE you?", "cafe\u0301"), ("who are\u00a0you?", "CAFÉ", "Other"))
    assert prompt_set.warmup == ("Other",)


def test_a_set_without_measured_or_warm_up_prompts_is_refused() -> None:
    with pytest.raises(UsageError, match="no prompt to measure"):
        PromptSet((), ("a",))
    with pytest.raises(UsageError, match="also measured"):
        PromptSet(("a",), ("A",))


def test_prompts_from_the_command_line_warm_up_with_the_language() -> None:
    warmup = load("french").warmup
    prompt_set = prompts.from_prompts(["Salut !", warmup[0]], "fr")
    assert prompt_set == PromptSet(("Salut !", warmup[0]), warmup[1:])


def write(folder: Path, content: str | bytes, name: str = "mine.txt") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_text_file_has_one_prompt_a_line(tmp_path: Path) -> None:
    path = write(tmp_path, "# mine\n\n  Hello you  \r\n\t\n  # not this\nÇa va ?")
    assert load(path).measured == ("Hello you", "Ça va ?")
    assert load(str(path)).measured == ("Hello you", "Ça va ?")


def test_a_byte_order_mark_is_no_part_of_the_first_prompt(tmp_path: Path) -> None:
    assert load(write(tmp_path, b"\xef\xbb\xbfHello")).measured == ("Hello",)


def test_a_jsonl_file_has_strings_or_objects(tmp_path: Path) -> None:
    content = (
        '"One"\n\n{"prompt": "Two", "id": 2}\n{"text": " Three "}\n'
        '{"text": "no", "prompt": "Four"}\n"# Five"'
    )
    for name in ("mine.jsonl", "mine.ndjson", "MINE.JSONL"):
        expected = ("One", "Two", "Three", "Four", "# Five")
        assert load(write(tmp_path, content, name)).measured == expected


def test_a_text_file_may_hold_conversations(tmp_path: Path) -> None:
    path = write(tmp_path, "---\nHello\nHow are you?\n---\n# two\n\n  ---  \n- - -\n---")
    prompts = load(path)
    assert prompts.conversations == (("Hello", "How are you?"), ("- - -",))
    assert prompts.measured == ("Hello", "How are you?", "- - -")


def test_a_jsonl_file_may_hold_conversations(tmp_path: Path) -> None:
    path = write(tmp_path, '["Hello", " How are you? "]\n{"prompt": "Alone"}\n["Bye"]', "a.jsonl")
    assert load(path).conversations == (("Hello", "How are you?"), ("Alone",), ("Bye",))
    assert load(path).measured == ("Hello", "How are you?", "Alone", "Bye")


def test_a_file_without_conversations_has_none(tmp_path: Path) -> None:
    assert load(write(tmp_path, "Hello\n\nHow are you?")).conversations == ()
    assert load("english").conversations == ()


def test_prompts_are_grouped_into_conversations(tmp_path: Path) -> None:
    three = PromptSet(("a", "b", "c"), ("x",))
    assert three.in_conversations(5, 2) == (("a", "b"), ("c", "a"), ("b",))
    assert three.in_conversations(2, 9) == (("a", "b"),)
    assert three.in_conversations(0, 2) == ()
    own = load(write(tmp_path, "a\nb\n---\nc"))
    assert own.in_conversations(5, 1) == (("a", "b"), ("c",), ("a", "b"))
    assert own.in_conversations(4, 1) == (("a", "b"), ("c",), ("a",))


def test_a_file_warms_up_with_the_built_in_prompts_of_the_language(tmp_path: Path) -> None:
    path = write(tmp_path, "Salut")
    assert load(path, "fr-fr").warmup == load("french").warmup
    assert load(path).warmup == load("english").warmup


def test_a_file_that_measures_every_warm_up_prompt_warms_up_with_others(tmp_path: Path) -> None:
    english = load("english")
    path = write(tmp_path, "\n".join(english.warmup))
    assert load(path) == PromptSet(english.warmup, english.measured)


def test_a_file_named_like_a_built_in_set_is_reached_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "Mine", "english")
    monkeypatch.chdir(tmp_path)
    assert load("./english").measured == ("Mine",)
    assert load(Path("english")).measured == ("Mine",)
    assert load("english").measured != ("Mine",)


def test_the_home_folder_may_be_written_as_a_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "Mine")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load("~/mine.txt").measured == ("Mine",)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "", "has no prompts"),
        ("a.txt", "\n# only this\n", "has no prompts"),
        ("a.jsonl", "\n\n", "has no prompts"),
        ("a.txt", b"fine\nna\xefve", r"line 2: byte 3 is not UTF-8; save the file as UTF-8"),
        ("a.txt", "Hello".encode("utf-16"), r"line 1: byte 1 is not UTF-8"),
        ("a.txt", "fine\nbell\x07", r"line 2: character 5 .* control character \(U\+0007\)"),
        ("a.txt", "two\ttabs", r"line 1: character 4 .*\(U\+0009\)"),
        ("a.txt", "one\x0ctwo", r"line 1: character 4 .*\(U\+000C\)"),
        ("a.txt", "old\rmac", r"line 1: character 4 .*\(U\+000D\)"),
        ("a.txt", "one\u2028two", r"line 1: character 4 .*\(U\+2028\)"),
        ("a.txt", "fine\n" + "a" * 8_001, r"line 2: the prompt has 8,001 .* at most 8,000"),
        ("a.txt", "a" * 100_000, r"line 1: the prompt has 100,000 characters"),
        ("a.txt", '{"prompt": "x"}', r"line 1 is a JSON object in a text file; name .*\.jsonl"),
        ("a.txt", "ok\n\u200b", r"line 2: the prompt is empty"),
        ("a.jsonl", '"fine"\n{"prompt": ', r"line 2 is not a prompt in JSON"),
        ("a.jsonl", "Hello", r"line 1 is not a prompt in JSON"),
        ("a.jsonl", "null", r"line 1 is not a prompt in JSON"),
        ("a.jsonl", '{"question": "x"}', r"line 1 is not a prompt in JSON"),
        ("a.jsonl", '{"prompt": 3}', r"line 1 is not a prompt in JSON"),
        ("a.jsonl", '["x", 3]', r"line 1 is not a conversation in JSON"),
        ("a.jsonl", "[]", r"line 1 is not a conversation in JSON"),
        ("a.jsonl", '"x"\n["y", " "]', r"line 2, turn 2: the prompt is empty"),
        ("a.txt", "---\n---", "has no prompts"),
        ("a.json", '[\n"x"\n]', r"line 1 is not a prompt in JSON"),
        ("a.jsonl", "[" * 100_000, r"line 1 is not a prompt in JSON"),
        ("a.jsonl", "9" * 10_000, r"line 1 is not a prompt in JSON"),
        ("a.jsonl", '""', r"line 1: the prompt is empty"),
        ("a.jsonl", '"a\\nb"', r"line 1: character 2 .*\(U\+000A\)"),
        ("a.jsonl", '"a\\tb"', r"line 1: character 2 .*\(U\+0009\)"),
        ("a.jsonl", '"a\\ud800"', r"line 1: character 2 of the prompt is not text \(U\+D800\)"),
        ("a.jsonl", '"a\\u0000"', r"line 1: character 2 .*\(U\+0000\)"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_bad_file_is_refused_with_its_line(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    path = write(tmp_path, content, name)
    with pytest.raises(UsageError, match=message) as refusal:
        load(path)
    assert str(path) in str(refusal.value)
    assert len(str(refusal.value)) < len(str(path)) + 150


def test_a_path_that_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        load(tmp_path)
    with pytest.raises(UsageError, match=r"no file of prompts .*none\.txt.*english, french"):
        load(tmp_path / "none.txt")
    with pytest.raises(UsageError, match="frensh; did you mean french"):
        load("frensh")
    with pytest.raises(UsageError, match="cannot be read"):
        load(write(tmp_path, "x") / "below.txt")
    with pytest.raises(UsageError, match="cannot be read"):
        load("nul\0.txt")
    with pytest.raises(UsageError, match="cannot be read"):
        load("a" * 5_000)


def test_an_endless_file_is_refused() -> None:
    with pytest.raises(UsageError, match="/dev/zero is larger than 16 MiB"):
        load("/dev/zero")


@pytest.mark.parametrize(
    "text", ["😊", "👩‍👩‍👧‍👦", "…", "?", "4", "你好", "a" * 8_000, "عربي\u200f"]
)
def test_anything_a_reader_can_see_is_a_prompt(text: str) -> None:
    assert check_prompt(text, "--prompt") == text


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "\u00a0", "\u3000", "\u200b\ufeff"])
def test_a_prompt_of_nothing_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--prompt: the prompt is empty"):
        check_prompt(text, "--prompt")


def test_spaces_and_line_ends_around_a_prompt_are_not_part_of_it() -> None:
    assert check_prompt("  Hello  you\r\n", "--prompt") == "Hello  you"


@given(st.text(max_size=60))
def test_a_checked_prompt_passes_again_and_survives_a_file(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    try:
        prompt = check_prompt(text, "--prompt")
    except UsageError:
        return
    assert check_prompt(prompt, "--prompt") == prompt
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_text(json.dumps({"prompt": prompt}), "utf-8")
    assert load(path).measured == (prompt,)
