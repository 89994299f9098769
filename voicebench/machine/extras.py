"""Extras: packages that are not installed with the base, and the command that adds them.

The base measures servers and simulated targets, and judges, reports and compares. Everything else
belongs to an extra of the distribution, such as ``voicebench-latency[local]``. This table alone
knows which module an extra brings; ``tests/machine/test_extras.py`` compares it with the package's
metadata.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from voicebench.errors import UsageError

DISTRIBUTION = "voicebench-latency"
"""The name to install. The command and the import are ``voicebench``."""

NAMESAKE = "voicebench"
"""Another distribution on the package index, with the same command and the same import."""
_OWN_SUMMARY = "Measures how fast a voice assistant starts to speak."


@dataclass(frozen=True, slots=True)
class Extra:
    """One extra: its name, its purpose after "for", and the modules that it brings."""

    name: str
    purpose: str
    modules: tuple[str, ...]


EXTRAS = (
    Extra(
        "local",
        "the embedded models",
        ("tokenizers", "safetensors", "ml_dtypes", "gguf", "onnx"),
    ),
    Extra(
        "torch",
        "models of a hub, MMS-TTS, GPUs, and processors without the C library",
        ("torch", "transformers", "accelerate"),
    ),
    Extra("piper", "Piper voices (piper-tts is GPL-3.0)", ("piper",)),
    Extra("say", "the loudspeaker", ("sounddevice", "soxr")),
    Extra(
        "serve",
        "the server",
        ("fastapi", "starlette", "uvicorn", "httptools", "prometheus_client", "soxr"),
    ),
    Extra("ears", "hearing a caller", ("onnx", "onnxruntime", "ctranslate2", "tokenizers", "soxr")),
    Extra("webrtc", "agents behind WebRTC", ("aiortc", "av")),
    Extra("livekit", "agents in rooms of LiveKit", ("aiortc", "av", "livekit.protocol")),
    Extra("compressed", "MP3, Opus, AAC and FLAC", ("av",)),
    Extra("html", "HTML reports with charts", ("vl_convert",)),
    Extra("pandas", "data frames", ("pandas",)),
    Extra("ray", "load from many machines", ("ray",)),
    Extra("quality", "word error rates", ("faster_whisper", "jiwer", "soxr")),
)
"""All extras but ``all``. A module that two of them bring belongs to the first."""


class MissingExtra(UsageError):
    """A module is missing because its extra is not installed."""

    def __init__(self, extra: Extra, module: str, otherwise: str = "") -> None:
        """Name the extra, the module, the command that installs both, and another way."""
        another = f", or {otherwise}" if otherwise else ""
        super().__init__(
            f"{extra.purpose}: not installed (no module {module!r})",
            f"install it: {install_command(extra.name)}{another}",
        )


def require(name: str, otherwise: str = "") -> None:
    """Raise `MissingExtra` if the extra ``name`` is not installed completely.

    ``otherwise`` is what the user can do instead of installing it.
    """
    extra = next(extra for extra in EXTRAS if extra.name == name)
    for module in extra.modules:
        if not is_installed(module):
            raise MissingExtra(extra, module, otherwise)


def is_installed(module: str) -> bool:
    """Return whether a module can be found; it is not imported."""
    if module in sys.modules:
        return sys.modules[module] is not None
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def extra_with(module: str) -> Extra | None:
    """Return the extra that brings ``module`` (or a module inside it); None if none does."""
    first = module.partition(".")[0]
    return next(
        (one for one in EXTRAS if any(name.partition(".")[0] == first for name in one.modules)),
        None,
    )


def missing_extra(error: BaseException | None) -> MissingExtra | None:
    """Return the error for the user if ``error``, or its cause, is about a module of an extra."""
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and error.name:
            extra = extra_with(error.name)
            if extra is not None:
                return MissingExtra(extra, error.name)
        error = error.__cause__ or error.__context__
    return None


def install_command(extra: str) -> str:
    """Return the command that adds ``extra`` to this environment, by the tool that made it.

    uv and pipx make the environment of a tool anew, so there the extras that it has are named too.
    """
    prefix = Path(sys.prefix)
    others = [one.name for one in EXTRAS if one.name != extra and _is_complete(one)]
    again = f"'{DISTRIBUTION}[{','.join([*others, extra])}]'"
    if (prefix / "uv-receipt.toml").is_file():
        return f"uv tool install {again}"
    if (prefix / "pipx_metadata.json").is_file():
        return f"pipx install --force {again}"
    if any(_UVX.match(part) for part in prefix.parts):
        return f"uvx --from {again} voicebench …"
    wanted = f"'{DISTRIBUTION}[{extra}]'"
    return f"pip install {wanted}" if _has_pip() else f"uv pip install {wanted}"


_UVX = re.compile(r"(archive|environments)-v[0-9]+$")
"""Folders in uv's cache, which have the environments of ``uvx``."""


def _is_complete(extra: Extra) -> bool:
    return all(map(is_installed, extra.modules))


def _has_pip() -> bool:
    """Return whether pip is installed here.

    The path is asked directly: setuptools hooks into a search for pip by all finders, and warns.
    """
    return importlib.machinery.PathFinder.find_spec("pip") is not None


def namesake() -> str | None:
    """Return the version of the other `NAMESAKE` if it is installed here; None if it is not.

    Both write into one folder ``voicebench`` and make one command, so each breaks the other. An
    installation of this package under its earlier name is not another one.
    """
    from importlib import metadata  # 20 ms, which `--help` need not wait for

    try:
        found = metadata.metadata(NAMESAKE)
    except metadata.PackageNotFoundError:
        return None
    return None if found["Summary"] == _OWN_SUMMARY else found["Version"]


def namesake_remedy() -> str:
    """Return what to do about the other distribution."""
    return (
        f"uninstall {NAMESAKE} and install {DISTRIBUTION} again, or give each its own environment"
    )
