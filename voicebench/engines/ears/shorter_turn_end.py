"""Smart Turn for less than 8 s: the graph with its length left open, made once.

Smart Turn always hears 8 s. What comes before the speech is silence, and takes most of the time: 76
ms on a core, against 30 for 3 s. The graph has the length in two places only: the table of
positions, ``(400, 384)``, and one constant of 400 for reshaping. Here the table is an input, and
the constant "as many as there are".
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from voicebench.engines.ears.ear_models import TURN_END
from voicebench.engines.models import ensure
from voicebench.engines.models.cache import build_once, cache_folder, known_sha256
from voicebench.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

POSITIONS = "inner.encoder.embed_positions.weight"
FRAMES = "input_features"
REVISION = 2
_MODEL = "turn_end.onnx"
_TABLE = "positions.f32"
_LENGTH = 400


def shorter_turn_end() -> tuple[Path, NDArray[np.float32]]:
    """Return the file of the graph, and its table of positions ``(400, 384)``; made at first use.

    Raises `ModelError` if Smart Turn cannot be fetched, or has another graph.
    """
    source = next(Path(ensure(TURN_END)).glob("*.onnx"))
    folder = build_once(
        cache_folder() / "voices" / f"{known_sha256(source)[:32]}-length-{REVISION}",
        lambda place: _convert(source, place),
        about={"model": TURN_END, "revision": REVISION},
    )
    table = np.fromfile(folder / _TABLE, "<f4").astype(np.float32)
    return folder / _MODEL, table.reshape(_LENGTH, -1)


def _convert(source: Path, place: Path) -> None:
    import onnx
    from onnx import numpy_helper

    model = onnx.load(str(source))
    graph = model.graph
    named = {tensor.name: tensor for tensor in graph.initializer}
    lengths = [
        tensor
        for tensor in graph.initializer
        if list(tensor.dims) == [1] and numpy_helper.to_array(tensor).tolist() == [_LENGTH]
    ]
    if POSITIONS not in named or len(lengths) != 1:
        raise ModelError(f"{source.name} has another graph than expected", "report this")
    table = numpy_helper.to_array(named[POSITIONS])
    graph.initializer.remove(named[POSITIONS])
    (length,) = lengths
    length.CopyFrom(numpy_helper.from_array(np.array([-1], np.int64), length.name))
    graph.input.append(
        onnx.helper.make_tensor_value_info(
            POSITIONS, onnx.TensorProto.FLOAT, ["positions", table.shape[1]]
        )
    )
    frames = next(one for one in graph.input if one.name == FRAMES)
    frames.type.tensor_type.shape.dim[2].ClearField("dim_value")
    frames.type.tensor_type.shape.dim[2].dim_param = "frames"
    del graph.value_info[:]  # shapes for 8 s
    onnx.save(model, str(place / _MODEL))
    table.astype("<f4").tofile(place / _TABLE)
