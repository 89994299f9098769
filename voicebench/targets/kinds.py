"""The table of target kinds. docs/extending.md shows how to add one."""

from __future__ import annotations

from urllib.parse import urlsplit

from voicebench.errors import UsageError
from voicebench.secret_names import hidden_in_url
from voicebench.targets import TargetKind
from voicebench.targets.cascade_kind import CascadeKind
from voicebench.targets.simulated import SimulatedKind
from voicebench.targets.whole_turn import RealtimeKind, VoiceKind

KINDS: tuple[TargetKind, ...] = (CascadeKind(), RealtimeKind(), VoiceKind(), SimulatedKind())
"""Every kind. The first one that takes a URL is meant by ``--server``."""


def kind_of(target: str) -> TargetKind:
    """Return the kind that ``run.target`` names. Raises `UsageError` for an unknown one."""
    for kind in KINDS:
        if target == kind.name or (kind.name.endswith(":") and target.startswith(kind.name)):
            return kind
    known = [repr(kind.example) for kind in KINDS]
    raise UsageError(f"unknown target {target!r}", f"use {', '.join(known[:-1])} or {known[-1]}")


def settings_from_url(url: str) -> dict[str, object]:
    """Return the settings that ``--server URL`` stands for. Raises `UsageError`."""
    try:
        urlsplit(url)
    except ValueError:
        pass
    else:
        for kind in KINDS:
            settings = kind.settings_from_url(url)
            if settings is not None:
                return settings
    raise UsageError(
        f"--server {hidden_in_url(url)!r} is not the URL of a server",
        "write for example http://127.0.0.1:8765 or ws://127.0.0.1:8765",
    )
