"""The end of a run: its turns are read back from the folder and judged, and the summary is written.

So what is printed about a run comes from its files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from voicebench.quoting import as_json
from voicebench.results.folder import RunFolder
from voicebench.results.run import RecordedRun, previous_run, read_digest, read_documents
from voicebench.results.uninterrupted import uninterrupted
from voicebench.settings import Settings


def close_run(
    folder: RunFolder,
    settings: Settings,
    environment: Mapping[str, object],
    judge: Callable[[RecordedRun], dict[str, object]],
    *,
    was_interrupted: Callable[[], bool],
) -> RecordedRun:
    """Read the turns back, judge them, and write the summary.

    ``judge`` returns what is judged beside the gates. It may be interrupted, so ``was_interrupted``
    is asked after it. If the summary cannot be written, the returned run says why.
    """
    folder.check_in_place()
    path = folder.path
    run = read_documents(path, read_digest(path, finished_only=False))
    judgement = judge(run)
    run = replace(run, complete=not was_interrupted())
    about = {"folder": str(path)} | {
        key: environment[key] for key in ("instrument", "instruments") if key in environment
    }
    document = run.document_with(about, judgement, _previous_figures(settings, run))
    with uninterrupted():
        not_kept = folder.finish(document, complete=run.complete)
    stored = json.loads(as_json(document))
    return replace(run, stored=stored, not_kept=None if not_kept is None else str(not_kept))


def _previous_figures(settings: Settings, run: RecordedRun) -> dict[str, object] | None:
    """Return what the previous run of this name shows for the gates of ``run``."""
    earlier = previous_run(Path(settings.run.results), settings.run.name, run.path, run)
    if earlier is None:
        return None
    figures = [result.gate.figure for result in run.gate_results]
    return {
        "result": earlier.path.name,
        "figures": {figure.name: figure.observe(earlier.summary)[0] for figure in figures},
    }
