from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from voicebench.engines.models.tensor_file import FORMATS, TensorFile
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
