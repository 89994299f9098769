"""GGUF models: converted once into a folder that loads in a fraction of a second.

Reading a GGUF file with transformers takes 10 to 50 seconds, because its vocabulary is parsed
string by string and every weight is dequantised. So it is read once, and the usual files of a model
folder are kept: `model.safetensors`, `config.json`, `generation_config.json`, `tokenizer.json` and
`tokenizer_config.json` (with the chat template).

Weights are stored as float16. Measured on the embedded SmolLM2 (Q4_1, 134.5 million weights), with
two cores and warm file caches:

=========  ======  ==========================  ==============================
stored as  file    error against dequantised   to float32 tensors, all read
=========  ======  ==========================  ==============================
float32    538 MB  none                        0.09 s (mapped, nothing cast)
float16    269 MB  0.019 % RMS, 0.05 % at most 0.21 s
bfloat16   269 MB  0.135 % RMS, 0.39 % at most 0.23 s
=========  ======  ==========================  ==============================

float16 is the more exact of the small formats: it rounds to 11 bits, which is a hundredth of the
error of the 4-bit quantisation itself. float32 would take twice the disk, and twice the time with a
cold file cache, for no audible gain. A model with a weight beyond float16 is stored as float32.
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
"""The version of the conversion; raise it when the same file gives another folder."""

_ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1", "TRANSFORMERS_VERBOSITY": "error"}
"""For the child process: no requests to a hub, and no progress bars."""

READY_FILES = (
    "model.safetensors",
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
)


def converted(source: Path, report: Report = ignore) -> Path:
    """Return the folder with the converted GGUF file ``source``, made now or earlier.

    Raises `ModelError` for a file that is not GGUF, broken, cut short, or of a family that
    transformers cannot read; before any slow work if the header shows it.
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

    So the conversion takes no memory of the measuring process, and does not trigger its garbage
    collector. On Ctrl-C the child is ended before this returns. Raises `ModelError`.
    """
    read_header(source)
    log = folder / ".log"
    environment = os.environ | _ENVIRONMENT | {"PYTHONPATH": _import_path()}
    command = [sys.executable, "-P", "-m", "voicebench.engines.models.gguf_convert"]
    failure: dict[str, Any] = {}
    with log.open("wb") as chatter:
        child = subprocess.Popen(
            [*command, str(source), str(folder)],
            stdin=subprocess.PIPE,  # the child ends when this closes
            stdout=subprocess.PIPE,
            stderr=chatter,
            env=environment,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            with child.stdin, child.stdout:
                for line in child.stdout:
                    message = _message_in(line)
                    if "error" in message:
                        failure = message
                    elif "part" in message:
                        report(Step(source.stem, "convert", message["part"], message["of"]))
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
    """Return a PYTHONPATH with this voicebench for the child."""
    own = str(Path(voicebench.__file__).parents[1])
    return os.pathsep.join(filter(None, (own, os.environ.get("PYTHONPATH"))))


def _message_in(line: bytes) -> dict[str, Any]:
    """Return the message in a line of the child; empty if a library printed the line."""
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}
