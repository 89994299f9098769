"""Run folders for the tests of what reads them, written as `voicebench run` writes them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from voicebench.figures.summary import Summary
from voicebench.judging.digest import digest_of
from voicebench.judging.gates import parse_gate
from voicebench.results.checksums import write_checksums
from voicebench.results.codec import encode_line
from voicebench.results.csv_rows import CSV_COLUMNS, RunCount, row
from voicebench.results.run import RecordedRun
from voicebench.settings import DEFAULT_GATES
from voicebench.turn.timeline import Timeline

ENVIRONMENT = {
    "voicebench": "0.1.0",
    "python": "3.11.9",
    "system": "Linux 6.1",
    "cpu": "Imaginary CPU",
    "cores": 2,
    "load_1min": 0.25,
    "commit": "0123456789ab",
    "packages": {"numpy": "2.0.0", "torch": None},
    "instrument": {"transport": "in process", "p50_ms": 0.011, "p95_ms": 0.062},
    "target": {"target": "simulated", "ttft_s": 0.06},
}


def made_run(
    turns: Sequence[Timeline],
    *,
    name: str = "made",
    gates: Iterable[str] = DEFAULT_GATES,
    results: Path = Path("results"),
    stamp: str = "20260105T101500Z",
    planned: int | None = None,
    complete: bool = True,
    previous: Summary | None = None,
    judgement: Mapping[str, object] | None = None,
) -> RecordedRun:
    """Return a run as it is told when it has just ended; the turns are numbered from 1.

    ``planned`` is how many measured turns were asked for, ``previous`` the run before.
    """
    at = "2026-01-05T10:15:00.000+00:00"
    turns = [replace(turn, turn=n, started_at=at) for n, turn in enumerate(turns, start=1)]
    gates = list(gates)
    runs = len(turns) if planned is None else planned
    run = RecordedRun(
        path=results / f"{stamp}-{name}",
        settings={
            "run": {"name": name, "target": "cascade", "runs": runs},
            "chunker": {"first_words": 3, "later_words": 8},
            "gates": gates,
        },
        environment=ENVIRONMENT,
        digest=digest_of(turns),
        complete=complete,
        cut_line=False,
        stored={},
    )
    about = {
        "folder": f"results/{run.path.name}",
        "instrument": ENVIRONMENT["instrument"],
    }
    figures = [parse_gate(gate).figure for gate in gates]
    before = None
    if previous is not None:
        shown = {figure.name: figure.observe(previous)[0] for figure in figures}
        before = {"result": "20260104T101500Z-made", "figures": shown}
    return replace(run, stored=run.document_with(about, judgement or {}, before))


def write_rows(file: TextIO, turns: Iterable[Timeline]) -> None:
    """Write ``runs.csv`` of ``turns`` to ``file`` (opened with ``newline=""``)."""
    writer = csv.DictWriter(file, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    runs = RunCount()
    writer.writerows(row(turn, runs.of(turn.phase)) for turn in turns)


def write_result(
    results: Path, turns: Sequence[Timeline], *, name: str = "made", **more: object
) -> Path:
    """Write a whole run folder under ``results`` and return it; ``more`` is of `made_run`."""
    at = "2026-01-05T10:15:00.000+00:00"
    turns = [replace(turn, turn=n, started_at=at) for n, turn in enumerate(turns, start=1)]
    run = made_run(turns, name=name, results=results, **more)  # type: ignore[arg-type]
    folder = run.path
    folder.mkdir(parents=True)
    write_json(folder / "settings.json", run.settings)
    write_json(folder / "environment.json", run.environment)
    lines = [encode_line(turn) + "\n" for turn in turns]
    (folder / "turns.jsonl").write_text("".join(lines), encoding="utf-8")
    with (folder / "runs.csv").open("w", encoding="utf-8", newline="") as file:
        write_rows(file, turns)
    write_json(folder / "summary.json", run.stored)
    write_checksums(folder)
    if not run.complete:
        (folder / "INCOMPLETE").touch()
    return folder


def write_json(path: Path, document: object) -> None:
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
