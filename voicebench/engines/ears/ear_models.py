"""The models that hear: their names, fetching them, and ONNX sessions of one thread."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from voicebench.engines.models import ensure
from voicebench.engines.models.fetch_progress import Report, ignore
from voicebench.machine.extras import require

VOICE_ACTIVITY = "silero-vad"
TURN_END = "smart-turn-v3.2"
RECOGNITION = "whisper-base"

EAR_MODELS = (VOICE_ACTIVITY, TURN_END, RECOGNITION)
"""The names in the catalogue."""


def fetch_ears(report: Report = ignore) -> None:
    """Fetch the models that are not here yet.

    Raises `ModelError`, and `MissingExtra` if the extra ``ears`` is not installed.
    """
    require("ears")
    for name in EAR_MODELS:
        ensure(name, report)


def onnx_session(name: str) -> Any:
    """Return an onnxruntime session of one thread for the model ``name`` of the catalogue.

    Raises as `fetch_ears`.
    """
    require("ears")
    return session_of(next(Path(ensure(name)).glob("*.onnx")))


def session_of(file: Path) -> Any:
    """Return an onnxruntime session of one thread for an ONNX file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # A thread that spins between two windows would take a core from the language model.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        str(file), sess_options=options, providers=["CPUExecutionProvider"]
    )
