"""The scaled rotary frequencies of Llama 3.1 and later in a GGUF file.

Such a model divides its rotary frequencies by factors that grow with the wavelength. GGUF has the
factors as the tensor ``rope_freqs.weight``; a model folder has the four numbers that give them.
Transformers drops the tensor and then computes slightly wrong. This module finds the numbers, and
checks that they give the factors of the file.

Source: the rotary scaling of the type "llama3" in Llama 3.1's published `config.json`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from voicebench.engines.models.gguf_header import Header
from voicebench.errors import ModelError

TENSOR = "rope_freqs.weight"
_FLOAT32 = 0
_LOW, _HIGH, _ORIGINAL_CONTEXT = 1.0, 4.0, 8192
"""The same in every published model of the kind; only the largest factor differs."""


def stretched_rope(header: Header) -> dict[str, object] | None:
    """Return the settings of the model's rotary scaling, or None if it has none.

    Raises `ModelError` if the file's factors do not follow from the known rule.
    """
    tensor = next((tensor for tensor in header.tensors if tensor.name == TENSOR), None)
    if tensor is None or header.family != "llama":
        return None
    if tensor.ggml_type != _FLOAT32 or len(tensor.shape) != 1:
        raise _unknown(header)
    factors = np.fromfile(
        header.path, "<f4", tensor.shape[0], offset=header.data_start + tensor.offset
    )
    base = float(header.get("llama.rope.freq_base", 10000.0))
    largest = float(factors.max())
    expected = llama3_factors(base, 2 * len(factors), largest)
    if not np.allclose(factors, expected, rtol=1e-3):
        raise _unknown(header)
    return {
        "rope_type": "llama3",
        "rope_theta": base,
        "factor": largest,
        "low_freq_factor": _LOW,
        "high_freq_factor": _HIGH,
        "original_max_position_embeddings": _ORIGINAL_CONTEXT,
    }


def llama3_factors(base: float, width: int, largest: float) -> NDArray[np.float64]:
    """Return the divisors of the ``width / 2`` rotary frequencies.

    It is 1 for short waves (more than ``_HIGH`` in the original context), ``largest`` for long ones
    (fewer than ``_LOW``), and interpolated between.
    """
    frequencies = base ** (-np.arange(0, width, 2) / width)
    waves = _ORIGINAL_CONTEXT * frequencies / (2 * math.pi)
    share = np.clip((waves - _LOW) / (_HIGH - _LOW), 0.0, 1.0)
    divisors: NDArray[np.float64] = 1.0 / ((1.0 - share) / largest + share)
    return divisors


def _unknown(header: Header) -> ModelError:
    return ModelError(
        f"{header.path} scales its rotary frequencies by an unknown rule",
        "take the model's safetensors instead of a GGUF",
    )
