"""GGUF models: converted once into a folder that loads in a fraction of a second.

Reading a GGUF file as a transformers model takes 10 to 50 seconds, each time: its vocabulary is
parsed string by string and every weight is dequantised. So it is done once, and the result is kept:
`model.safetensors`, `config.json`, `generation_config.json`, `tokenizer.json` and
`tokenizer_config.json` (with the chat template), the usual files of a model folder.

Weights are stored as float16. Measured on the embedded SmolLM2 (Q4_1, 134.5 million weights), with
two cores and warm file caches:

=========  ======  ==========================  ==============================
stored as  file    error against dequantised   to float32 tensors, all read
=========  ======  ==========================  ==============================
float32    538 MB  none                        0.09 s (mapped, nothing cast)
float16    269 MB  0.019 % RMS, 0.05 % at most 0.21 s
bfloat16   269 MB  0.135 % RMS, 0.39 % at most 0.23 s
=========  ======  ==========================  ==============================

float16 is the nearest of the small ones: its error is that of rounding to 11 bits, a hundredth of
what 4-bit quantisation itself costs. Twice the disk, and twice the time when the file is cold, buys
nothing that can be heard. A model with a weight beyond float16's range is stored as float32.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import voicebench
from voicebench.engines.models import fetch
from voicebench.engines.models.cache import build_once, cache_folder, full_disk, known_sha256
from voicebench.engines.models.fetch_progress import Report, Step, ignore
from voicebench.engines.models.gguf_header import read_header
from voicebench.errors import ModelError

REVISION = 1
"""Counts the ways of converting: raised when the same file would give another folder."""

_ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1", "TRANSFORMERS_VERBOSITY": "error"}
"""For the child: no hub is asked for anything, and no bar is drawn."""

READY_FILES = (
    "model.safetensors",
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
)


def converted(source: Path, report: Report = ignore) -> Path:
    """Return the folder that the GGUF file ``source`` was converted to, now or earlier.

    Raises `ModelError` for a file that is no GGUF, broken, cut short, or of a family that
    transformers cannot read; where the header tells, before any slow work.
    """
    read_header(source)
    digest = known_sha256(source)
    folder = cache_folder() / "converted" / f"{source.stem[:64]}-{digest[:16]}-r{REVISION}"
    about = {"source": source.name, "source_sha256": digest, "revision": REVISION}
    return build_once(
        folder, lambda place: convert(source, place, report), about=about, report=report
    )


def convert(source: Path, folder: Path, report: Report = ignore) -> None:
    """Convert ``source`` into the empty ``folder``, in a child process.

    The process that measures keeps its memory and its garbage collector's peace. On Ctrl-C the
    child is ended before this returns. Raises `ModelError`.
    """
    read_header(source)
    log = folder / ".log"
    environment = os.environ | _ENVIRONMENT | {"PYTHONPATH": _import_path()}
    command = [sys.executable, "-P", "-m", "voicebench.engines.models.gguf_convert"]
    failure: dict[str, Any] = {}
    with log.open("wb") as chatter:
        child = subprocess.Popen(
            [*command, str(source), str(folder)],
            stdin=subprocess.PIPE,  # held open: the child ends when it closes
            stdout=subprocess.PIPE,
            stderr=chatter,
            env=environment,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            with child.stdin, child.stdout:
                for line in child.stdout:
                    said = _said(line)
                    if "error" in said:
                        failure = said
                    elif "part" in said:
                        report(Step(source.stem, "convert", said["part"], said["of"]))
            child.wait()
        finally:
            fetch.end(child)
    last = log.read_text(errors="replace").strip().rpartition("\n")[2][:300]
    log.unlink()
    if failure:
        raise ModelError(failure["error"], failure["remedy"])
    if "no space left" in last.lower():
        raise full_disk(folder)
    missing = [name for name in READY_FILES if not (folder / name).is_file()]
    if child.returncode != 0 or missing:
        reason = last or f"exit code {child.returncode}, without {', '.join(missing)}"
        raise ModelError(
            f"{source} could not be converted: {reason}",
            "free some memory if it was killed; else try another file of the model",
        )


def _import_path() -> str:
    """Return a PYTHONPATH with which the child finds this very voicebench."""
    own = str(Path(voicebench.__file__).parents[1])
    return os.pathsep.join(filter(None, (own, os.environ.get("PYTHONPATH"))))


def _said(line: bytes) -> dict[str, Any]:
    """Return what a line of the child says; nothing for a line that a library printed."""
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
