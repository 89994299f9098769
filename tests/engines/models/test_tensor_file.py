from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from voicebench.engines.models.tensor_file import FORMATS, TensorFile, let_go
from voicebench.errors import ModelError

STORED: dict[str, NDArray[Any]] = {
    "wide": np.arange(6, dtype=np.float64).reshape(2, 3),
    "plain": np.arange(3, dtype=np.float32),
    "half": np.arange(4, dtype=np.float16).reshape(2, 2),
    "short": np.arange(5).astype(ml_dtypes.bfloat16),
    "single": np.array(2.5, np.float32),
    "none": np.empty((0, 4), np.float32),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    save_file(STORED, tmp_path / "some.safetensors", metadata={"format": "np"})
    return tmp_path / "some.safetensors"


@pytest.mark.parametrize("name", STORED)
def test_an_array_has_the_numbers_and_the_shape_that_were_stored(file: Path, name: str) -> None:
    tensors = TensorFile(file)
    array = tensors.array(name)
    assert set(tensors.names) == set(STORED)
    assert tensors.size(name) == array.shape == STORED[name].shape
    assert FORMATS[tensors.number_format(name)] == array.dtype.name == STORED[name].dtype.name
    np.testing.assert_array_equal(array, STORED[name])


def test_what_is_written_to_an_array_does_not_reach_the_file(file: Path) -> None:
    TensorFile(file).array("plain")[:] = 9.0
    np.testing.assert_array_equal(TensorFile(file).array("plain"), STORED["plain"])


def resident_kb(file: Path) -> int:
    """Return how much of a mapped file is in this process's memory."""
    lines = Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines()
    here = False
    for line in lines:
        if not line.split()[0].endswith(":"):
            here = line.endswith(str(file))
        elif here and line.startswith("Rss:"):
            return int(line.split()[1])
    raise AssertionError(f"{file} is not mapped")


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="there is no /proc/self/smaps")
def test_a_released_array_takes_no_memory_and_is_read_again(tmp_path: Path) -> None:
    file, stored = tmp_path / "large.safetensors", np.arange(1 << 20, dtype=np.float32)
    save_file({"before": stored[:5], "large": stored, "behind": stored[:7]}, file)
    tensors = TensorFile(file)
    large = tensors.array("large")
    assert large.sum() > 0
    assert resident_kb(file) >= 4096
    let_go(large.reshape(1024, 1024)[1:])  # a view counts too
    assert resident_kb(file) < 64
    np.testing.assert_array_equal(large, stored)
    for name, size in (("before", 5), ("behind", 7)):
        np.testing.assert_array_equal(tensors.array(name), stored[:size])


@pytest.mark.parametrize("name", STORED)
def test_the_neighbours_of_a_released_array_are_as_they_were(file: Path, name: str) -> None:
    tensors = TensorFile(file)
    let_go(tensors.array(name))
    for other, numbers in STORED.items():
        np.testing.assert_array_equal(tensors.array(other), numbers)


def test_an_array_that_lies_in_no_file_is_not_touched() -> None:
    array = np.arange(1 << 16)
    let_go(array)
    let_go(array[5:])
    assert array.sum() == sum(range(1 << 16))


def test_numbers_of_another_kind_are_named(tmp_path: Path) -> None:
    save_file({"counts": np.arange(3)}, tmp_path / "some.safetensors")
    assert TensorFile(tmp_path / "some.safetensors").number_format("counts") == "I64"


@pytest.mark.parametrize("content", [b"", b"\x08", b"\xff" * 64, b"\x80\x04pickle"])
def test_what_is_no_such_file_is_told_with_its_path(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "some.safetensors"
    file.write_bytes(content)
    with pytest.raises(ModelError, match=r"some\.safetensors cannot be read"):
        TensorFile(file)


def test_a_file_that_is_cut_off_is_told(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(ModelError, match="cannot be read"):
        TensorFile(file)
