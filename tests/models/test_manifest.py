from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from voicebench.models import manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "model"
    (place / "deep").mkdir(parents=True)
    (place / "weights.bin").write_bytes(b"0123456789")
    (place / "deep" / "more.json").write_text("{}", encoding="utf-8")
    manifest.write(place, {"source": "a test"})
    return place


def test_a_folder_as_it_was_made_is_whole(folder):
    assert manifest.damage(folder) is None
    assert manifest.damage(folder, hashes=True) is None


def test_the_manifest_records_size_and_sha256_of_every_file_and_where_it_came_from(folder):
    document = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert document["about"] == {"source": "a test"}
    assert document["files"] == {
        "deep/more.json": {"bytes": 2, "sha256": hashlib.sha256(b"{}").hexdigest()},
        "weights.bin": {"bytes": 10, "sha256": hashlib.sha256(b"0123456789").hexdigest()},
    }


def test_a_file_cut_short_is_found_by_its_size(folder):
    (folder / "weights.bin").write_bytes(b"01234")
    assert manifest.damage(folder) == "weights.bin has 5 bytes instead of 10"


def test_a_missing_file_is_found(folder):
    (folder / "deep" / "more.json").unlink()
    assert manifest.damage(folder) == "deep/more.json is missing"


def test_a_changed_byte_is_found_only_by_the_sums(folder):
    (folder / "weights.bin").write_bytes(b"0123456780")
    assert manifest.damage(folder) is None
    found = manifest.damage(folder, hashes=True)
    assert found is not None
    assert found.startswith("weights.bin has SHA-256 ")


def test_a_folder_without_a_manifest_is_not_whole(tmp_path):
    assert manifest.damage(tmp_path) == "manifest.json is missing"
    assert manifest.damage(tmp_path / "nowhere") == "manifest.json is missing"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"schema": 1}', '{"schema": 1, "files": {"a": {}}}', "\xff"],
)
def test_a_manifest_that_says_nothing_usable_is_not_whole(folder, text):
    (folder / "manifest.json").write_text(text, encoding="latin-1")
    assert manifest.damage(folder) == "manifest.json cannot be read"


def test_a_manifest_of_another_schema_is_not_taken_for_ours(folder):
    (folder / "manifest.json").write_text('{"schema": 99, "files": {}}', encoding="utf-8")
    assert manifest.damage(folder) == "manifest.json has schema 99, not 1"
