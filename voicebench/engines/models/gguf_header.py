"""Read and check the header of a GGUF file.

A GGUF file is: magic, version, two counts; key-value pairs (settings, and the vocabulary as arrays
of strings); a table of tensors (name, shape, type, offset); padding; the tensors' bytes. It is
little-endian with 64-bit lengths. Source: the GGUF specification in the ggml project
(docs/gguf.md).

Reading it here takes a fraction of a second; a general reader, which makes an array of every
string, takes many seconds. So a broken file is found before any slow work, and the conversion can
use a copy without the vocabulary. All lengths in the file are checked before use.
"""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voicebench.engines.models.formats import require_format
from voicebench.errors import ModelError

VERSIONS = (2, 3)

_SCALARS = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?",
    10: "<Q", 11: "<q", 12: "<d",
}  # fmt: skip
_STRING, _ARRAY, _UINT32 = 8, 9, 4
_MAX_DIMENSIONS = 8


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor in the table; ``shape`` is in torch's order, ``offset`` from the start of data."""

    name: str
    shape: tuple[int, ...]
    ggml_type: int
    offset: int


@dataclass(frozen=True, slots=True)
class HeaderField:
    """A key's value, and the position of the pair in the file (``start`` to ``end``)."""

    value: Any
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Header:
    """Everything in a GGUF file except the tensors' bytes."""

    path: Path
    version: int
    settings: dict[str, HeaderField]
    tensors: tuple[Tensor, ...]
    table_start: int
    table_end: int
    data_start: int
    file_size: int

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a setting."""
        setting = self.settings.get(key)
        return default if setting is None else setting.value

    @property
    def family(self) -> str:
        """Return the name of the architecture, like ``llama``."""
        return str(self.get("general.architecture"))


def read_header(path: Path) -> Header:
    """Read and check the header of a GGUF file.

    Raises `ModelError` if it is not a GGUF file, has an unknown version, or is cut short in the
    header or in the tensors.
    """
    require_format(path, "gguf")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        reader = _Reader(path, data)
        try:
            header = _read(reader)
        except (struct.error, UnicodeDecodeError) as error:
            raise reader.broken(f"its header cannot be read ({error})") from error
    _check_tensors_are_there(header)
    return header


class _Reader:
    """A reading position in the mapped file; it never moves past the end."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path = path
        self.data = data
        self.size = len(data)
        self.at = 4

    def broken(self, what: str) -> ModelError:
        return ModelError(
            f"{self.path} is a broken GGUF file: {what}", "fetch or copy the file again"
        )

    def scalar(self, form: str) -> Any:
        (value,) = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return value

    def count(self, smallest: int) -> int:
        """Read a count of elements of at least ``smallest`` bytes each."""
        value = int(self.scalar("<Q"))
        if value * smallest > self.size - self.at:
            raise self.broken("it ends inside its header, or its header was damaged")
        return value

    def string(self) -> str:
        length = self.count(1)
        self.at += length
        return self.data[self.at - length : self.at].decode("utf-8")

    def value(self, kind: int, depth: int = 0) -> Any:
        if kind in _SCALARS:
            return self.scalar(_SCALARS[kind])
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY and depth < 4:
            element = self.scalar("<I")
            if element in _SCALARS:
                form = _SCALARS[element][1]
                count = self.count(struct.calcsize(f"<{form}"))
                values = struct.unpack_from(f"<{count}{form}", self.data, self.at)
                self.at += struct.calcsize(f"<{count}{form}")
                return list(values)
            count = self.count(8)
            return [self.value(element, depth + 1) for _ in range(count)]
        raise self.broken(f"it has a value of the unknown type {kind}")


def _read(reader: _Reader) -> Header:
    version = reader.scalar("<I")
    if version not in VERSIONS:
        known = " or ".join(map(str, VERSIONS))
        raise ModelError(
            f"{reader.path} is GGUF of version {version}; voicebench reads only version {known}",
            "convert it with a current llama.cpp",
        )
    tensor_count = reader.count(24)
    setting_count = reader.count(12)
    settings: dict[str, HeaderField] = {}
    for _ in range(setting_count):
        start = reader.at
        key = reader.string()
        value = reader.value(reader.scalar("<I"))
        settings[key] = HeaderField(value, start, reader.at)
    if "general.architecture" not in settings:
        raise reader.broken("it does not name its architecture")
    table_start = reader.at
    tensors = tuple(_read_tensor(reader) for _ in range(tensor_count))
    alignment = settings.get("general.alignment", HeaderField(32, 0, 0)).value
    if not isinstance(alignment, int) or alignment < 1:
        raise reader.broken(f"its alignment is {alignment!r}")
    return Header(
        path=reader.path,
        version=version,
        settings=settings,
        tensors=tensors,
        table_start=table_start,
        table_end=reader.at,
        data_start=-(-reader.at // alignment) * alignment,
        file_size=reader.size,
    )


def _read_tensor(reader: _Reader) -> Tensor:
    name = reader.string()
    dimensions = reader.scalar("<I")
    if dimensions > _MAX_DIMENSIONS:
        raise reader.broken(f"the tensor {name} has {dimensions} dimensions")
    shape = [int(reader.scalar("<Q")) for _ in range(dimensions)]
    ggml_type = int(reader.scalar("<I"))
    return Tensor(name, tuple(reversed(shape)), ggml_type, int(reader.scalar("<Q")))


def _check_tensors_are_there(header: Header) -> None:
    """Raise `ModelError` if a tensor's bytes are beyond the end of the file."""
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    for tensor in header.tensors:
        try:
            per_block, block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType(tensor.ggml_type)]
        except (ValueError, KeyError) as error:
            raise ModelError(
                f"{header.path} holds the tensor {tensor.name} in the unknown number format "
                f"{tensor.ggml_type}",
                "update voicebench's dependency `gguf`, or take another quantisation of the model",
            ) from error
        count = math.prod(tensor.shape)
        end = header.data_start + tensor.offset + count // per_block * block_bytes
        if end > header.file_size:
            raise ModelError(
                f"{header.path} is cut short: the tensor {tensor.name} should reach to byte {end}, "
                f"and the file has {header.file_size}",
                "fetch or copy the file again",
            )


def write_without_vocabulary(header: Header, target: Path) -> None:
    """Copy a GGUF file without the arrays of its tokenizer.

    ``<architecture>.vocab_size`` is added if it is missing, because readers would take it from the
    length of the vocabulary.
    """
    vocabulary = header.get("tokenizer.ggml.tokens", [])
    kept = [
        setting
        for key, setting in header.settings.items()
        if not (key.startswith("tokenizer.") and isinstance(setting.value, list))
    ]
    added = b""
    size_key = f"{header.family}.vocab_size"
    if vocabulary and size_key not in header.settings:
        name = size_key.encode()
        added = struct.pack("<Q", len(name)) + name + struct.pack("<II", _UINT32, len(vocabulary))
    with header.path.open("rb") as source, target.open("wb") as out:
        count = len(kept) + bool(added)
        out.write(b"GGUF" + struct.pack("<IQQ", header.version, len(header.tensors), count))
        for setting in kept:
            source.seek(setting.start)
            out.write(source.read(setting.end - setting.start))
        out.write(added)
        source.seek(header.table_start)
        out.write(source.read(header.table_end - header.table_start))
        out.write(bytes(-out.tell() % header.get("general.alignment", 32)))
        source.seek(header.data_start)
        while block := source.read(1 << 22):
            out.write(block)
