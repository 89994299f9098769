from __future__ import annotations

import pytest

from voicebench.engines.models.catalogue import CATALOGUE, Entry, entry
from voicebench.errors import UsageError


def test_every_entry_can_be_found_by_its_name_and_names_are_unique() -> None:
    assert [entry(model.name) for model in CATALOGUE] == list(CATALOGUE)
    assert len({model.name for model in CATALOGUE}) == len(CATALOGUE)


def test_the_catalogue_has_one_language_model_two_voices_and_three_models_that_hear() -> None:
    assert [(model.name, model.kind) for model in CATALOGUE] == [
        ("smollm2-135m-instruct", "llm"),
        ("en_US-joe-medium", "voice"),
        ("hibari-heart", "voice"),
        ("silero-vad", "ears"),
        ("smart-turn-v3.2", "ears"),
        ("whisper-base", "ears"),
    ]


@pytest.mark.parametrize("model", CATALOGUE, ids=lambda model: model.name)
def test_an_entry_pins_every_byte_and_states_its_licence(model: Entry) -> None:
    pinned = [(part.wheel.size, part.wheel.sha256) for part in model.parts]
    members = [member for part in model.parts for member in part.members]
    members += [] if model.joined is None else [model.joined]
    pinned += [(member.size, member.sha256) for member in members]
    for size, sha256 in pinned:
        assert size > 0
        assert len(bytes.fromhex(sha256)) == 32
    for part in model.parts:
        assert part.wheel.requirement == f"{part.wheel.distribution}=={part.wheel.version}"
    assert model.licence
    assert model.card.startswith("https://")
    assert model.needs >= model.download_size + sum(member.size for member in members)


@pytest.mark.parametrize("model", CATALOGUE, ids=lambda model: model.name)
def test_members_are_kept_under_plain_names_that_do_not_collide(model: Entry) -> None:
    names = [member.name for part in model.parts for member in part.members]
    assert len(set(names)) == len(names)
    assert not any("/" in name or "\\" in name or name.startswith(".") for name in names)
    assert model.convert is None or model.convert in names


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("smollm2-135m", "smollm2-135m-instruct"),
        ("SmolLM2-135M-Instruct", "smollm2-135m-instruct"),
        ("en_us_joe_medium", "en_US-joe-medium"),
        ("joe", "en_US-joe-medium"),
    ],
)
def test_a_close_name_is_suggested(asked: str, meant: str) -> None:
    with pytest.raises(UsageError, match=f"no model '{asked}'.*did you mean {meant}"):
        entry(asked)


@pytest.mark.parametrize("asked", ["", "gpt-5", "../../etc/passwd"])
def test_a_name_that_is_close_to_nothing_is_answered_with_all_names(asked: str) -> None:
    names = "smollm2-135m-instruct, en_US-joe-medium, hibari-heart"
    with pytest.raises(UsageError, match=names) as caught:
        entry(asked)
    assert caught.value.exit_code == 2
