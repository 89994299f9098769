"""Recognise weight files by their first bytes, and refuse those that can run code.

A file name proves nothing: `model.safetensors` may be a renamed pickle. safetensors, GGUF and ONNX
have only numbers. PyTorch's own format is a pickle, bare or in a zip, and reading a pickle runs its
code.

Sources: the safetensors format (8 bytes little-endian length, then JSON), the GGUF specification
(`GGUF`, then the version), `onnx.proto` (field 1 of `ModelProto` is `ir_version`, a varint, and
exporters write it first), Python's pickle protocol 2 and later (0x80, then the protocol's number).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from voicebench.errors import ModelError

Format = Literal["safetensors", "gguf", "onnx"]

_HEAD = 64
_SAFETENSORS_HEADER_LIMIT = 100_000_000
"""The reference implementation refuses longer headers."""

_NEWEST_ONNX_IR = 64
"""Far above the newest IR version (13 in 2026), and below the first bytes of other formats."""

_REFUSED = (
    (b"PK\x03\x04", "a zip archive (PyTorch's .pt and .bin are zipped pickles)"),
    (b"\x80\x02", "a Python pickle"),
    (b"\x80\x03", "a Python pickle"),
    (b"\x80\x04", "a Python pickle"),
    (b"\x80\x05", "a Python pickle"),
    (b"\x89HDF", "an HDF5 file (Keras)"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"ggjt", "a GGML file, the forerunner of GGUF"),
    (b"lmgg", "a GGML file, the forerunner of GGUF"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file it stands for"),
    (b"<", "an HTML or XML page, as a failed download leaves"),
    (b"{", "a JSON file"),
)

_REMEDY = "give a safetensors, GGUF or ONNX file; voicebench opens no other weights"


def weights_format(path: Path) -> Format:
    """Return the format of a weight file, by its first bytes.

    Raises `ModelError` if the file cannot be read or is of another format, which is named if known.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except FileNotFoundError as error:
        raise ModelError(f"there is no file {path}", "check the path") from error
    except IsADirectoryError as error:
        raise ModelError(f"{path} is a folder, not a weight file", "name the file in it") from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror})", "check the file") from error
    if head.startswith(b"GGUF"):
        return "gguf"
    if _begins_like_safetensors(head, size):
        return "safetensors"
    for magic, name in _REFUSED:
        if head.startswith(magic):
            raise ModelError(f"{path} is {name}", _REMEDY)
    if _begins_like_onnx(head):
        return "onnx"
    if not head:
        raise ModelError(f"{path} is empty", "fetch or copy it again")
    if head[4:8] == b"TFL3":
        raise ModelError(f"{path} is a TensorFlow Lite model", _REMEDY)
    raise ModelError(f"{path} has an unknown format (it begins with {head[:8]!r})", _REMEDY)


def require_format(path: Path, wanted: Format) -> None:
    """Raise `ModelError` unless the file at ``path`` is of the wanted format."""
    found = weights_format(path)
    if found != wanted:
        raise ModelError(f"{path} is {found}, not {wanted}", f"give a {wanted} file")


def _begins_like_safetensors(head: bytes, size: int) -> bool:
    length = int.from_bytes(head[:8], "little")
    return (
        len(head) > 8
        and 2 <= length <= min(_SAFETENSORS_HEADER_LIMIT, size - 8)
        and head[8:9] == b"{"
    )


def _begins_like_onnx(head: bytes) -> bool:
    """Return whether ``head`` is field 1, a small varint (the IR version), and a second field.

    Exporters write one of these second: producer name and version, domain, model version,
    documentation, graph, opset import, metadata (numbers 2 to 8 and 14, with their wire types).
    """
    second = (0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42, 0x72)
    return (
        len(head) > 3 and head[0] == 0x08 and 1 <= head[1] <= _NEWEST_ONNX_IR and head[2] in second
    )
