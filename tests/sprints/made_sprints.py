"""Sprints for the tests: the two of the reference, and sprints of hand-made runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from handmade import make_turn
from recorded_folders import write_result

from voicebench.results.run import RecordedRun, read_run
from voicebench.sprints import measured
from voicebench.sprints.imported import read_import
from voicebench.sprints.readings import suite_reading
from voicebench.sprints.score import score_card
from voicebench.sprints.sprint import FileChange, Sprint
from voicebench.turn.timeline import Timeline

IMPORTS = Path(__file__).parents[2] / "docs" / "sprints"

BUSY = {
    "kind": "other processes",
    "finding": "other processes used 81 % of the cores in the median turn",
    "remedy": "stop them, or measure on a machine of your own",
    "invalidates": True,
}


def imported(number: int) -> Sprint:
    return read_import(IMPORTS / f"sprint-{number:03d}.toml", number)


def of_runs(
    runs: Sequence[RecordedRun], number: int = 47, by_hand: Mapping[str, float] | None = None
) -> Sprint:
    readings = [*measured.readings_of(runs), suite_reading(10, 10)]
    return Sprint(
        number=number,
        started_at="2026-01-05",
        commit=None,
        commits=(),
        files=(FileChange("a|b.py", 3, 1), FileChange("picture.png", None, None)),
        readings=tuple(readings),
        tables=tuple(measured.run_tables(runs)),
        lengths=tuple(measured.text_lengths(runs)),
        scores=score_card(runs, readings, by_hand or {}),
        setup=measured.setup_of(runs[0]),
        results=tuple(run.path.name for run in runs),
    )


def recorded(folder: Path, turns: Sequence[Timeline], **more: object) -> RecordedRun:
    """Return a run as it is read back; ``more`` is of `recorded_folders.write_result`."""
    return read_run(write_result(folder, turns, **more))  # type: ignore[arg-type]


def judged(
    folder: Path, turns: Sequence[Timeline], judgement: Mapping[str, object], **more: object
) -> RecordedRun:
    """Return a run with the judgement that it stored beside its gates."""
    path = write_result(folder, turns, **more)  # type: ignore[arg-type]
    document = json.loads((path / "summary.json").read_text(encoding="utf-8"))
    document["judgement"] = judgement
    (path / "summary.json").write_text(json.dumps(document), encoding="utf-8")
    return read_run(path)


def invalid(folder: Path, turns: Sequence[Timeline], **more: object) -> RecordedRun:
    """Return a run that its own judgement calls invalid: the machine was busy."""
    judgement = {"verdict": "PASS", "invalid": True, "noise": [BUSY]}
    return judged(folder, turns, judgement, **more)


def interrupted(folder: Path, turns: Sequence[Timeline], **more: object) -> RecordedRun:
    """Return a run that was stopped before its end."""
    path = write_result(folder, turns, **more)  # type: ignore[arg-type]
    (path / "summary.json").unlink()
    (path / "INCOMPLETE").write_text("")
    return read_run(path)


def with_settings(run: RecordedRun, **changes: object) -> RecordedRun:
    """Return the run as if its settings had been others: ``run__target="sim:"``."""
    path = run.path / "settings.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    for key, value in changes.items():
        section, _, name = key.partition("__")
        settings.setdefault(section, {})[name] = value
    path.write_text(json.dumps(settings), encoding="utf-8")
    return read_run(run.path)


def quick_turns(count: int = 20, first_audio_ms: float = 150, **more: object) -> list[Timeline]:
    """Return turns that meet every target of a sprint and play without a stall."""
    return [
        make_turn(
            number,
            tokens=((40, "The"), (50, " weather"), (160, " is fine.")),
            chunks=((80, "The weather"), (165, " is fine.")),
            audio=((first := first_audio_ms + number / 10, 600), (max(first, 260), 600)),
            **more,  # type: ignore[arg-type]
        )
        for number in range(1, count + 1)
    ]


def stalling_turns(count: int = 20, stalled: int = 16) -> list[Timeline]:
    """Return quick turns of which ``stalled`` run dry after their first 100 ms of audio."""
    turns = quick_turns(count)
    return [
        turn
        if number > stalled
        else make_turn(
            number,
            tokens=((40, "The"), (50, " weather"), (160, " is fine.")),
            chunks=((80, "The weather"), (165, " is fine.")),
            audio=((150 + number / 10, 100), (590, 600)),
        )
        for number, turn in enumerate(turns, start=1)
    ]
