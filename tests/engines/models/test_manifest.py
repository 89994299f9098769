from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from numpy.typing import NDArray

from voicebench.engines.models import manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "model"
    (place / "deep").mkdir(parents=True)
    (place / "weights.bin").write_bytes(b"0123456789")
    (place / "deep" / "more.json").write_text("{}", encoding="utf-8")
    manifest.write(place, {"source": "a test"})
    return place


def test_a_folder_as_it_was_made_is_whole(folder: Path) -> None:
    assert manifest.damage(folder) is None
    assert manifest.damage(folder, hashes=True) is None


def test_the_manifest_records_size_and_sha256_of_every_file_and_where_it_came_from(
    folder: Path,
) -> None:
    document = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert document["about"] == {"source": "a test"}
    quick = {name: entry.pop("quick") for name, entry in document["files"].items()}
    assert quick["weights.bin"] == manifest.quick_sum(folder / "weights.bin")
    assert document["files"] == {
        "deep/more.json": {"bytes": 2, "sha256": hashlib.sha256(b"{}").hexdigest()},
        "weights.bin": {"bytes": 10, "sha256": hashlib.sha256(b"0123456789").hexdigest()},
    }


def test_a_file_cut_short_is_found_by_its_size(folder: Path) -> None:
    (folder / "weights.bin").write_bytes(b"01234")
    assert manifest.damage(folder) == "weights.bin has 5 bytes instead of 10"


def test_a_missing_file_is_found(folder: Path) -> None:
    (folder / "deep" / "more.json").unlink()
    assert manifest.damage(folder) == "deep/more.json is missing"


def rewritten(path: Path, content: bytes) -> None:
    """Change a file as a disk does: nothing but its bytes."""
    before = path.stat()
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_changed_byte_is_found_though_nothing_else_tells_of_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewritten(folder / "weights.bin", b"0123456780")
    monkeypatch.setattr(manifest, "_summed", {})  # another process
    assert manifest.damage(folder) == "weights.bin is not what it was when it was made"


def test_a_change_that_keeps_the_quick_sum_is_found_by_the_sha256(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "quick_sum", lambda path: "the same")
    manifest.write(folder, {})
    rewritten(folder / "weights.bin", b"0123456780")
    assert manifest.damage(folder) is None
    found = manifest.damage(folder, hashes=True)
    assert found is not None
    assert found.startswith("weights.bin has SHA-256 ")


def test_a_folder_of_before_the_quick_sums_is_compared_by_the_sha256(folder: Path) -> None:
    path = folder / "manifest.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    for entry in document["files"].values():
        del entry["quick"]
    path.write_text(json.dumps(document), encoding="utf-8")
    without = path.read_text(encoding="utf-8")
    assert manifest.damage(folder) is None
    assert json.loads(path.read_text(encoding="utf-8"))["about"] == {"source": "a test"}
    assert path.read_text(encoding="utf-8").count('"quick"') == 2  # as quick from now on
    path.write_text(without, encoding="utf-8")
    rewritten(folder / "weights.bin", b"0123456780")
    assert (manifest.damage(folder) or "").startswith("weights.bin has SHA-256 ")
    assert path.read_text(encoding="utf-8") == without


PAGES = np.random.default_rng(7).integers(0, 256, (3, 4096), np.uint8)


def flip(pages: NDArray[np.uint8]) -> None:
    pages[1] ^= 0xFF


def lose(pages: NDArray[np.uint8]) -> None:
    pages[1] = 0


def exchange(pages: NDArray[np.uint8]) -> None:
    pages[[0, 1]] = pages[[1, 0]]


def copy(pages: NDArray[np.uint8]) -> None:
    pages[1] = pages[0]


def shift(pages: NDArray[np.uint8]) -> None:
    pages[:] = np.roll(pages, 1)


def touch(pages: NDArray[np.uint8]) -> None:
    pages[2, -1] ^= 1


@pytest.mark.parametrize("harm", [flip, lose, exchange, copy, shift, touch])
@pytest.mark.parametrize("rest", [b"", b"a tail"])
@pytest.mark.parametrize("repeats", [1, 400])
def test_a_quick_sum_changes_with_what_a_disk_does_to_pages(
    tmp_path: Path, harm: Callable[[NDArray[np.uint8]], None], rest: bytes, repeats: int
) -> None:
    first, second = tmp_path / "whole", tmp_path / "harmed"
    pages = np.tile(PAGES, (repeats, 1))
    first.write_bytes(pages.tobytes() + rest)
    harm(pages)
    second.write_bytes(pages.tobytes() + rest)
    assert manifest.quick_sum(first) != manifest.quick_sum(second)


def test_a_quick_sum_knows_a_longer_file(tmp_path: Path) -> None:
    sizes = [0, 1, 8, 4095, 4096, 4097, manifest.READ_BYTES, manifest.READ_BYTES + 1]
    sums = []
    for size in sizes:
        path = tmp_path / str(size)
        path.write_bytes(b"x" * size)
        sums.append(manifest.quick_sum(path))
    assert len(set(sums)) == len(sizes)


def test_a_file_is_summed_once_unless_it_changes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "weights.bin"
    sum_pages = mock.Mock(wraps=manifest._sum_pages)
    monkeypatch.setattr(manifest, "_sum_pages", sum_pages)
    manifest.quick_sum(path)
    path.write_bytes(b"9876543210")
    first = manifest.quick_sum(path)
    assert manifest.quick_sum(path) == first
    sum_pages.assert_called_once_with(path)


def test_a_folder_without_a_manifest_is_not_whole(tmp_path: Path) -> None:
    assert manifest.damage(tmp_path) == "manifest.json is missing"
    assert manifest.damage(tmp_path / "nowhere") == "manifest.json is missing"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"schema": 1}', '{"schema": 1, "files": {"a": {}}}', "\xff"],
)
def test_a_manifest_that_says_nothing_usable_is_not_whole(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text, encoding="latin-1")
    assert manifest.damage(folder) == "manifest.json cannot be read"


def test_a_manifest_of_another_schema_is_not_taken_for_ours(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"schema": 99, "files": {}}', encoding="utf-8")
    assert manifest.damage(folder) == "manifest.json has schema 99, not 1"
