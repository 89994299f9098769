"""A safetensors file as arrays that are mapped into memory.

The library's reader for numpy copies the arrays, so a large model would need its memory twice while
an engine rearranges the weights. Here the library only checks the file. The positions of the arrays
are in its header (https://huggingface.co/docs/safetensors): eight bytes with the header's length,
JSON, and then the numbers.
"""

from __future__ import annotations

import json
import mmap
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from voicebench.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

_LENGTH_BYTES = 8


class TensorFile:
    """The arrays of one file, by name.

    Raises `ModelError` for a file that is missing, cut short or not safetensors.
    """

    def __init__(self, path: Path) -> None:
        import safetensors

        try:
            with safetensors.safe_open(path, framework="numpy"):
                pass
            # Private pages: writing to an array does not change the file.
            data = np.memmap(path, np.uint8, "c")
        except (safetensors.SafetensorError, OSError) as error:
            raise ModelError(
                f"the weights {path} cannot be read ({error})", "fetch the model again"
            ) from error
        begin = _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES].tobytes(), "little")
        self._header: dict[str, Any] = json.loads(data[_LENGTH_BYTES:begin].tobytes())
        self._header.pop("__metadata__", None)
        self._data = data[begin:]

    @property
    def names(self) -> Iterable[str]:
        """The names of its arrays."""
        return self._header.keys()

    def size(self, name: str) -> tuple[int, ...]:
        """Return the shape of an array."""
        return tuple(self._header[name]["shape"])

    def number_format(self, name: str) -> str:
        """Return an array's number format as the file names it, such as ``BF16``."""
        return str(self._header[name]["dtype"])

    def array(self, name: str) -> NDArray[Any]:
        """Return an array in the format that it is stored in, which must be in `FORMATS`."""
        begin, end = self._header[name]["data_offsets"]
        stored = self._data[begin:end].view(_number_type(self.number_format(name)))
        return np.asarray(stored.reshape(self.size(name)))


def let_go(array: NDArray[Any]) -> None:
    """Release the memory of an array of a `TensorFile`, which has been copied elsewhere.

    Its pages come from the file again when they are next used; what was written to them is lost.
    Does nothing for an array that lies in no file, and on systems that cannot do it.
    """
    whole, base = array, array.base
    while isinstance(base, np.ndarray):
        whole, base = base, base.base
    if not isinstance(base, mmap.mmap) or not hasattr(mmap, "MADV_DONTNEED"):
        return
    begin = array.ctypes.data - whole.ctypes.data
    first = -(-begin // mmap.PAGESIZE) * mmap.PAGESIZE
    pages = (begin + array.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE - first
    if pages > 0:
        base.madvise(mmap.MADV_DONTNEED, first, pages)


def save_tensors(weights: Mapping[str, Tensor] | Mapping[str, NDArray[Any]], path: Path) -> None:
    """Write weights, all tensors or all contiguous arrays, to ``path``; raises `OSError`.

    The library raises its own error, which has the number of the system's error only in its text.
    """
    import safetensors

    save: Any
    if all(isinstance(weight, np.ndarray) for weight in weights.values()):
        from safetensors.numpy import save_file as save
    else:
        from safetensors.torch import save_file as save

    try:
        save(dict(weights), path, metadata={"format": "pt"})
    except safetensors.SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        code = int(number[1])
        raise OSError(code, os.strerror(code), str(path)) from error
    path.chmod(0o644)  # safetensors makes it readable by its owner only


FORMATS = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
"""The number formats, by safetensors' and numpy's names."""


def _number_type(number_format: str) -> np.dtype[Any]:
    import ml_dtypes  # noqa: F401  (teaches numpy the name bfloat16)

    return np.dtype(FORMATS[number_format])
