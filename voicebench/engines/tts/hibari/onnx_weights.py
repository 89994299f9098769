"""The weights of a network that was exported to ONNX, under the names that they had before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from voicebench.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Weights: TypeAlias = "dict[str, NDArray[np.float32]]"
"""The network's arrays by name. A matrix is (inputs, outputs), a convolution (taps, inputs,
outputs), a depthwise convolution (taps, channels)."""


def read_weights(path: Path) -> Weights:
    """Return the weights in the ONNX file ``path`` as float32.

    The exporter gave the matrices names of its own and may have stored them as int8 with one scale
    each. A bias kept its name, so a matrix is named after the bias that is added to its product.
    Raises `ModelError` if the file is not such an export.
    """
    import onnx
    from google.protobuf.message import DecodeError
    from onnx import numpy_helper

    try:
        graph = onnx.load(path).graph
    except (OSError, DecodeError) as error:
        raise ModelError(f"{path} cannot be read as ONNX ({error})", "fetch it again") from error
    stored = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    weights: Weights = {}
    products: dict[str, NDArray[np.float32]] = {}
    for name, array in stored.items():
        if array.dtype == np.float32 and not name.endswith("_scale"):
            weights[name] = np.array(_taps_first(array), order="C")
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in stored:
            products[node.output[0]] = weights.pop(node.input[1])
        elif node.op_type == "MatMulInteger":
            product = node.output[0].removesuffix("_output_quantized")
            products[product] = _widened(stored, node.input[1].removesuffix("_quantized"))
    for node in graph.node:
        if node.op_type == "Add" and node.input[0] in weights and node.input[1] in products:
            bias = node.input[0]
            name = bias.replace("in_proj_bias", "in_proj_weight").replace(".bias", ".weight")
            weights[name] = products[node.input[1]]
    if not products:
        raise ModelError(f"{path} is not an export of hibari", "take the files of hibari-tts 0.2.1")
    return weights


def _widened(stored: dict[str, NDArray[np.generic]], name: str) -> NDArray[np.float32]:
    """Return an int8 matrix as float32."""
    centred = stored[f"{name}_quantized"].astype(np.float32)
    centred -= stored[f"{name}_zero_point"].astype(np.float32)
    return centred * stored[f"{name}_scale"].astype(np.float32)


def _taps_first(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a convolution (outputs, inputs, taps) as (taps, inputs, outputs)."""
    if array.ndim != 3:
        return array
    return array[:, 0].T if array.shape[1] == 1 and array.shape[0] > 1 else array.transpose(2, 1, 0)
