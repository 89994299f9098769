"""Run folders for the tests of what reads them, written as `voicebench run` writes them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from voicebench.final import Taken, final_verdict
from voicebench.gates import judge, parse_gate
from voicebench.results.checksums import write_checksums
from voicebench.results.codec import encode_line
from voicebench.results.csv_rows import write_rows
from voicebench.results.document import summary_document
from voicebench.settings import DEFAULT_GATES
from voicebench.summary import summarize
from voicebench.timeline import Timeline

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


def write_result(
    results: Path,
    turns: Sequence[Timeline],
    *,
    name: str = "made",
    gates: Iterable[str] = DEFAULT_GATES,
    stamp: str = "20260105T101500Z",
) -> Path:
    """Write a whole run folder under ``results`` and return it; the turns are numbered from 1."""
    at = "2026-01-05T10:15:00.000+00:00"
    turns = [replace(turn, turn=n, started_at=at) for n, turn in enumerate(turns, start=1)]
    folder = results / f"{stamp}-{name}"
    folder.mkdir(parents=True)
    settings = {
        "run": {"name": name, "target": "cascade", "runs": len(turns)},
        "chunker": {"first_words": 3, "later_words": 8},
        "gates": list(gates),
    }
    write_json(folder / "settings.json", settings)
    write_json(folder / "environment.json", ENVIRONMENT)
    lines = [encode_line(turn) + "\n" for turn in turns]
    (folder / "turns.jsonl").write_text("".join(lines), encoding="utf-8")
    with (folder / "runs.csv").open("w", encoding="utf-8", newline="") as file:
        write_rows(file, turns)
    summary = summarize(turns)
    results_of_gates = [judge(parse_gate(gate), summary) for gate in gates]
    taken = Taken(summary.turns, summary.failed, len(turns), complete=True)
    final = final_verdict(taken, [result.verdict for result in results_of_gates])
    run = {
        "name": name,
        "folder": f"results/{folder.name}",
        "started_at": turns[0].started_at,
        "complete": True,
        "target": "cascade",
        "voicebench": "0.1.0",
        "instrument": ENVIRONMENT["instrument"],
    }
    document = summary_document(run, turns, summary, results_of_gates, final)
    write_json(folder / "summary.json", document)
    write_checksums(folder)
    return folder


def write_json(path: Path, document: object) -> None:
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
