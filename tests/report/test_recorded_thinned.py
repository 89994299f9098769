"""Of a long run most turns are thinned; those that are shown one by one are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from handmade import make_turn
from recorded_folders import write_result

from voicebench.events import Connected
from voicebench.report import recorded


def test_cold_and_idle_turns_keep_their_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded, "FROM_TURNS", 20)
    after = replace(make_turn(phase="idle"), connections=(Connected(3.5, False),))
    warmup = [make_turn(phase="warmup") for _ in range(15)]
    turns = [make_turn(phase="cold"), *warmup, *(make_turn() for _ in range(10)), after, after]
    document = recorded.read_recorded(write_result(tmp_path, turns)).document()
    phases = document["phases"]
    assert isinstance(phases, dict)
    assert list(phases) == ["cold", "idle"]
    assert (phases["idle"]["turns"], phases["idle"]["connect_ms"]) == (2, 3.5)
    assert document["turns"]["warmup"] == 15  # type: ignore[index]
