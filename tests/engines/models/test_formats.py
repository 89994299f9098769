from __future__ import annotations

import json
import pickle
import struct
import zipfile
from pathlib import Path

import pytest

from voicebench.engines.models.formats import Format, require_format, weights_format
from voicebench.errors import ModelError


def safetensors(header: dict[str, object]) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(16)


GOOD = {
    "safetensors": safetensors({"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}),
    "gguf": b"GGUF" + struct.pack("<IQQ", 3, 0, 0),
    "onnx": b"\x08\x08\x12\x07pytorch\x1a\x05" + b"2.0.1" + bytes(40),
}


def file(folder: Path, data: bytes) -> Path:
    path = folder / "model.safetensors"  # the name says nothing
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("form", GOOD)
def test_a_format_is_told_by_the_first_bytes_whatever_the_name(
    tmp_path: Path, form: Format
) -> None:
    assert weights_format(file(tmp_path, GOOD[form])) == form
    require_format(file(tmp_path, GOOD[form]), form)


def test_files_that_the_libraries_write_are_recognised(tmp_path: Path) -> None:
    import numpy as np
    import onnx
    from safetensors.numpy import save_file

    save_file({"w": np.zeros(3, np.float32)}, tmp_path / "a")
    assert weights_format(tmp_path / "a") == "safetensors"
    graph = onnx.helper.make_graph([], "g", [], [])
    onnx.save(onnx.helper.make_model(graph), str(tmp_path / "b"))
    assert weights_format(tmp_path / "b") == "onnx"


def zipped_pickle(folder: Path) -> bytes:
    path = folder / "archive"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
    return path.read_bytes()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_is_refused_by_name(tmp_path: Path, protocol: int) -> None:
    with pytest.raises(ModelError, match="is a Python pickle"):
        weights_format(file(tmp_path, pickle.dumps({"w": [1.0]}, protocol)))


def test_pytorchs_zipped_pickle_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"zip archive \(PyTorch"):
        weights_format(file(tmp_path, zipped_pickle(tmp_path)))


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"\x89HDF\r\n\x1a\n" + bytes(60), "HDF5"),
        (b"\x93NUMPY\x01\x00" + bytes(60), "NumPy array"),
        (b"\x1f\x8b\x08" + bytes(60), "gzip"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><html>not found</html>", "HTML"),
        (b'{"error": "not found"}', "JSON"),
        (b"\x1c\x00\x00\x00TFL3" + bytes(60), "TensorFlow Lite"),
        (b"", "is empty"),
        (b"\x00" * 64, "has an unknown format"),
        (b"plain text of some length", "has an unknown format"),
        (pickle.dumps({"w": 1}, 0), "has an unknown format"),
    ],
)
def test_what_is_no_weight_file_is_refused_by_name(tmp_path: Path, data: bytes, named: str) -> None:
    with pytest.raises(ModelError, match=named) as caught:
        weights_format(file(tmp_path, data))
    assert str(tmp_path) in caught.value.message
    assert caught.value.remedy


def test_a_safetensors_length_beyond_the_file_is_not_believed(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="has an unknown format"):
        weights_format(file(tmp_path, struct.pack("<Q", 10_000) + b'{"w": 1}'))


def test_a_folder_and_a_missing_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is a folder"):
        weights_format(tmp_path)
    with pytest.raises(ModelError, match="there is no file"):
        weights_format(tmp_path / "missing")


def test_one_good_format_in_the_place_of_another_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is onnx, not gguf"):
        require_format(file(tmp_path, GOOD["onnx"]), "gguf")
