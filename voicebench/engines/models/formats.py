"""Telling weight files apart by their first bytes, and refusing those that can run code.

A name is not trusted: `model.safetensors` may be a pickle that somebody renamed. safetensors,
GGUF and ONNX hold numbers only. PyTorch's own format is a pickle (bare, or inside a zip), and
reading a pickle runs whatever it says.

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
"""Far above the newest IR version (13 in 2026), far below what other formats begin with."""

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
    """Return the format of a weight file, from its first bytes.

    Raises `ModelError` if the file cannot be read or holds anything else: named where it is
    known, refused in any case.
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
    raise ModelError(f"{path} is of no known format (it begins with {head[:8]!r})", _REMEDY)


def require_format(path: Path, wanted: Format) -> None:
    """Raise `ModelError` unless the file at ``path`` is of the wanted format."""
    found = weights_format(path)
    if found != wanted:
        raise ModelError(f"{path} is {found}, where {wanted} is wanted", f"give a {wanted} file")


def _begins_like_safetensors(head: bytes, size: int) -> bool:
    length = int.from_bytes(head[:8], "little")
    return (
        len(head) > 8
        and 2 <= length <= min(_SAFETENSORS_HEADER_LIMIT, size - 8)
        and head[8:9] == b"{"
    )


def _begins_like_onnx(head: bytes) -> bool:
    """Field 1, a small varint (the IR version); then another field of `ModelProto`.

    The fields that exporters write second: producer name and version, domain, model version,
    documentation, graph, opset import, metadata (numbers 2 to 8 and 14, of their wire types).
    """
    second = (0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42, 0x72)
    return (
        len(head) > 3 and head[0] == 0x08 and 1 <= head[1] <= _NEWEST_ONNX_IR and head[2] in second
    )
