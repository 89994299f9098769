"""The per-run table: one row a turn, what the turn took and whether its first audio came in time.

No row says that a turn passed: of the limits that a run is judged by, only that of first audio can
be seen in one row.

The rows stand in order of time: cold and warm-up turns on top, those after a silence at the end.
They are dimmed, and are in no figure below the table. A failed turn shows what was observed before
it failed; its reason stands below the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from voicebench import format as form
from voicebench.figures.metrics import compute
from voicebench.judging.digest import Digest, FailedRun, MeasuredRun
from voicebench.report.console.style import BAD, GOOD, QUIET, Column, Sheet
from voicebench.report.runs import (
    Status,
    TurnLimit,
    phase_label,
    shortlist,
    shortlist_note,
    status,
    tally,
)
from voicebench.turn.timeline import Timeline

MOST_LISTED = 10
MOST_REASONS = 5
"""Failures beyond these are counted, not listed; ``runs.csv`` holds them all."""


STATUS_STYLES: dict[Status, str] = {
    "first audio ✓": GOOD,
    "first audio ✗": BAD,
    "! failed": f"bold {BAD}",
}


@dataclass(frozen=True, slots=True)
class _Row:
    turn: Timeline
    values: dict[str, float | None]
    label: str
    style: str
    status: Text


def run_sheet(digest: Digest, limit: TurnLimit) -> Sheet:
    """Return the table; first audio is in time where it kept ``limit``."""
    rows = [_row_apart(turn) for turn in digest.before]
    rows += [_row(run, limit) for run in shortlist(digest)]
    rows += [_row_apart(turn) for turn in digest.after]
    columns = [
        Column("run", [Text(row.label, row.style) for row in rows]),
        _figures("LLM\nfirst\ntoken", "llm_ttft_ms", rows, spare=4),
        _figures("LLM\ncomplete", "llm_total_ms", rows, spare=3),
        Column(
            "first\nchunk",
            [Text(first_chunk(row.turn), QUIET) for row in rows],
            "left",
            spare=5,
            least=10,
        ),
        _figures("TTS\nfirst\nbyte", "tts_ttfb_ms", rows, spare=2),
        _figures("first\naudio", "first_audio_ms", rows),
        _figures("first\nsound", "first_sound_ms", rows, spare=1),
        Column("stalls", [Text(_stalls(row.values), row.style) for row in rows], spare=1),
        _figures("stalled", "stall_ms", rows, spare=6, extra=True),
        Column("status", [row.status for row in rows], "left"),
    ]
    return Sheet("Runs, in ms", columns, _notes(digest, limit))


def first_chunk(turn: Timeline) -> str:
    """Return the words of the first text chunk; a dash where it cannot be seen."""
    return form.one_line(turn.chunks[0].text) if turn.chunks else form.NOTHING


def failure_lines(failures: Sequence[FailedRun]) -> list[str]:
    """Return which runs failed, gathered by where and why, in the order they first happened."""
    gathered: dict[str, list[str]] = {}
    for failed in failures:
        why = f"in {failed.stage}: {form.one_line(failed.reason)}"
        gathered.setdefault(why, []).append(str(failed.number))
    return [
        f"{'run' if len(numbers) == 1 else 'runs'} {_listed(numbers)} failed {why}"
        for why, numbers in gathered.items()
    ]


def _listed(numbers: Sequence[str]) -> str:
    more = len(numbers) - MOST_LISTED
    named = ", ".join(numbers[:MOST_LISTED])
    return named if more <= 0 else f"{named} and {more} more"


def _row(run: MeasuredRun, limit: TurnLimit) -> _Row:
    said = status(run, limit)
    told = Text(said, STATUS_STYLES[said])
    return _Row(run.turn, compute(run.turn), str(run.number), "", told)


def _row_apart(turn: Timeline) -> _Row:
    told = Text("! failed" if turn.failed else form.NOTHING, QUIET)
    return _Row(turn, compute(turn), phase_label(turn.phase), QUIET, told)


def _figures(
    head: str, name: str, rows: Sequence[_Row], spare: int = 0, *, extra: bool = False
) -> Column:
    cells = [Text(form.ms(row.values[name]), row.style) for row in rows]
    return Column(head, cells, spare=spare, extra=extra)


def _stalls(values: dict[str, float | None]) -> str:
    return form.number(values["stall_count"], "count")


def _notes(digest: Digest, limit: TurnLimit) -> list[Text]:
    if not digest.summary.turns:
        return [Text("no turn was measured", BAD)]
    lines = failure_lines(digest.failures)
    notes = [Text(shortlist_note(digest), QUIET)] if shortlist_note(digest) else []
    notes += [Text(tally(digest.columns, limit).sentence(), "bold")]
    notes += [Text(line, BAD) for line in lines[:MOST_REASONS]]
    if len(lines) > MOST_REASONS:
        notes.append(Text(f"and {len(lines) - MOST_REASONS} other reasons", BAD))
    return notes
