"""The per-run table: one row a turn, with its durations and whether its first audio was in time.

The status names first audio, since the other limits of a run do not apply to a single turn.

The rows are in order of time. The cold and warm-up turns above and the turns after a silence below
are dimmed, and are in no figure below the table. A failed turn shows what was observed before it
failed; its reason is below the table.
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
"""More reasons are counted, not listed; ``runs.csv`` has them all."""


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
    """Return the table; first audio is in time if it keeps ``limit``."""
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
        _figures("stalls", "stall_count", rows, spare=1, unit="count"),
        _figures("stalled", "stall_ms", rows, spare=6, extra=True),
        Column("status", [row.status for row in rows], "left"),
    ]
    return Sheet("Runs, in ms", columns, _notes(digest, limit), folds=True)


def first_chunk(turn: Timeline) -> str:
    """Return the first text chunk; a dash if it cannot be seen."""
    return form.one_line(turn.chunks[0].text) if turn.chunks else form.NOTHING


def failure_lines(failures: Sequence[FailedRun]) -> list[str]:
    """Return which runs failed, one line for each stage and reason, in order of time."""
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
    word = status(run, limit)
    cell = Text(word, STATUS_STYLES[word])
    return _Row(run.turn, compute(run.turn), str(run.number), "", cell)


def _row_apart(turn: Timeline) -> _Row:
    cell = Text("! failed" if turn.failed else form.NOTHING, QUIET)
    return _Row(turn, compute(turn), phase_label(turn.phase), QUIET, cell)


def _figures(
    head: str,
    name: str,
    rows: Sequence[_Row],
    spare: int = 0,
    *,
    extra: bool = False,
    unit: str = "ms",
) -> Column:
    cells = [Text(form.number(row.values[name], unit), row.style) for row in rows]
    return Column(head, cells, spare=spare, extra=extra)


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
