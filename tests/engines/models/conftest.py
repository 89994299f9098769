"""A cache and a package index that belong to one test."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_wheels import Index

from voicebench.engines.models import catalogue
from voicebench.engines.models.catalogue import Entry


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, empty."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("VOICEBENCH_CACHE", str(folder))
    return folder


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    """An index of its own for pip, and nothing else: no network, no configuration file."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name in list(os.environ):
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return Index(folder)


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the catalogue hold the given entries and no others."""

    def replace(*entries: Entry) -> None:
        monkeypatch.setattr(catalogue, "CATALOGUE", entries)

    return replace
