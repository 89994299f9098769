"""A Piper voice's weights, found in its ONNX graph.

A Piper voice is a VITS network, exported to ONNX by torch. The export loses names: folded weight
norm leaves anonymous weights, and equal tensors share one name. It keeps the *scope*: each
operation is named after its module (``/flow/flows.4/enc/in_layers.0/Conv``). So a weight is looked
up as "the second input of the convolution of that module".
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from voicebench.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

MOST_BYTES = 1 << 30
"""Far more than the size of any Piper voice."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A convolution of the graph."""

    weight: Array
    bias: Array | None
    dilation: int
    stride: int


class PiperGraph:
    """The tensors of a voice, by the module that they belong to."""

    def __init__(self, path: Path) -> None:
        """Read the file at ``path``. Raises `ModelError` if it is not an ONNX file."""
        self.path = path
        graph = _read(path).graph
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}
        self._convolutions: dict[str, Any] = {}
        self._scopes: dict[str, list[Any]] = defaultdict(list)
        for node in graph.node:
            if node.op_type == "Constant":
                for attribute in node.attribute:
                    if attribute.name == "value":
                        self._tensors[node.output[0]] = attribute.t
                continue
            scope = self._scope(node)
            self._scopes[scope].append(node)
            if node.op_type in ("Conv", "ConvTranspose"):
                self._convolutions[scope] = node

    def has(self, scope: str) -> bool:
        """Return whether a convolution belongs to the module ``scope``."""
        return scope in self._convolutions

    def numbers(self, pattern: str) -> list[int]:
        """Return, in order, the numbers for which ``pattern`` (with one ``#``) is a convolution."""
        regex = re.compile(re.escape(pattern).replace(r"\#", r"(\d+)"))
        found = {int(m[1]) for scope in self._convolutions if (m := regex.fullmatch(scope))}
        return sorted(found)

    def convolution(self, scope: str) -> Operation:
        """Return the convolution of the module ``scope``."""
        node = self._convolutions.get(scope)
        if node is None:
            raise self.foreign(f"no convolution {scope}")
        attributes = {attribute.name: list(attribute.ints) for attribute in node.attribute}
        return Operation(
            weight=self.stored(node.input[1]),
            bias=self.stored(node.input[2]) if len(node.input) > 2 else None,
            dilation=(attributes.get("dilations") or [1])[0],
            stride=(attributes.get("strides") or [1])[0],
        )

    def weight(self, name: str) -> Array:
        """Return the weight that the training program calls ``name``, wherever it is stored."""
        scope, _, field = name.rpartition(".")
        if scope == "dp.flows.0":
            return self.operand(scope, "Sub") if field == "m" else self._log_scale(name)
        if scope in ("enc_p.emb", "emb_g"):
            return self.operand(scope, "Gather")
        if "norm" in scope:
            return self._norm(scope)[0 if field == "weight" else 1]
        if field not in ("weight", "bias"):
            return self.stored(name)
        operation = self.convolution(scope)
        found = operation.weight if field == "weight" else operation.bias
        if found is None:
            raise self.foreign(f"no bias in {scope}")
        return found

    def stored(self, name: str) -> Array:
        """Return the tensor that is stored under ``name``."""
        from onnx import numpy_helper

        if name not in self._tensors:
            raise self.foreign(f"no stored tensor {name}")
        try:
            array = numpy_helper.to_array(self._tensors[name])
        except (ValueError, TypeError) as error:
            raise self.foreign(f"the weight {name} cannot be read") from error
        return np.ascontiguousarray(array, dtype=np.float32)

    def operand(self, scope: str, kind: str) -> Array:
        """Return the stored tensor that the last operation of ``kind`` in ``scope`` reads.

        The last one, because a norm's gain comes after its statistics.
        """
        for node in reversed(self._scopes.get(scope, [])):
            if node.op_type == kind:
                for name in node.input:
                    if name in self._tensors and math.prod(self._tensors[name].dims) > 1:
                        return self.stored(name)
        raise self.foreign(f"no {kind} with a weight in {scope}")

    def slope(self, scope: str) -> float:
        """Return the slope of the first leaky ReLU directly in ``scope``."""
        for node in self._scopes.get(scope, []):
            if node.op_type == "LeakyRelu":
                return float(next((a.f for a in node.attribute if a.name == "alpha"), 0.01))
        raise self.foreign(f"no LeakyRelu in {scope}")

    def _norm(self, scope: str) -> tuple[Array, Array]:
        """Return gain and offset of the layer norm ``scope``, one operation or several."""
        for node in self._scopes.get(scope, []):
            if node.op_type == "LayerNormalization":
                return self.stored(node.input[1]), self.stored(node.input[2])
        return self.operand(scope, "Mul"), self.operand(scope, "Add")

    def _log_scale(self, name: str) -> Array:
        """Return the log scale ``name``; it is stored as such, negated, or as exp(-log scale)."""
        scope = name.rpartition(".")[0]
        if name in self._tensors:
            return self.stored(name)
        if any(node.op_type == "Exp" for node in self._scopes[scope]):
            return -self.operand(scope, "Exp")
        return -np.log(self.operand(scope, "Mul"))

    def _scope(self, node: Any) -> str:
        """Return the dotted name of the module that ``node`` came from; "" if unknown."""
        if node.name.startswith("/"):
            return str(node.name[1:].rpartition("/")[0].replace("/", "."))
        for name in node.input[1:]:
            stem, _, kind = name.rpartition(".")
            if kind in ("weight", "bias", "gamma", "beta") and name in self._tensors:
                return str(stem)
        return ""

    def foreign(self, what: str) -> ModelError:
        """Return the error that the graph is not a Piper voice; ``what`` is the reason."""
        return ModelError(
            f"{self.path} is not a Piper voice that voicebench can read: {what}",
            "take a voice made by Piper (a .onnx file with its .onnx.json)",
        )


def _read(path: Path) -> Any:
    """Return the parsed ONNX model."""
    remedy = "fetch the voice again"
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise ModelError(f"{path} has {size} bytes, too many for a Piper voice", remedy)
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"cannot read {path}: {error.strerror}", "check the voice's path"
        ) from None

    import onnx

    try:
        model = onnx.load_model_from_string(content)
    except Exception:  # protobuf's DecodeError, whose module has changed over the releases
        raise ModelError(f"{path} is not an ONNX file, or is cut off", remedy) from None
    if not model.graph.node:
        raise ModelError(f"{path} has no network", remedy)
    return model
