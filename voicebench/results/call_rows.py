"""One step of a spoken call as one row of ``calls.csv``: what was said, heard and measured.

Text is written as in ``runs.csv`` (`voicebench.results.csv_rows`), and so are the numbers.
"""

from __future__ import annotations

from voicebench.figures.call_metrics import CALL_METRICS
from voicebench.figures.metrics import BY_NAME, METRICS
from voicebench.results.csv_rows import quoted
from voicebench.turn.timeline import Timeline

CALLS_CSV = "calls.csv"
OF_CALLS = tuple(m for m in METRICS if m in CALL_METRICS or m is BY_NAME["stop_ms"])
"""The metrics of calls, in the order of all metrics."""

CALL_COLUMNS: tuple[tuple[str, str], ...] = (
    ("turn", "Number of the turn within the run, as in runs.csv."),
    ("phase", "warmup or measured; only measured turns enter a statistic."),
    ("call", "Number of the call, from 1."),
    ("step", "Number of the step in the script, from 1."),
    ("kind", "line, interruption or noise."),
    ("said", "The text of the line, or the name of the noise."),
    ("heard", "The agent's transcript of the caller's words; empty where it shows none."),
    ("reply", "The text of the agent's answer; empty where it shows none."),
    ("begin_s", "When the caller began the step, in seconds from the begin of the call."),
    ("spoken_until_s", "When the caller's last audible sample was sent."),
    ("limit_ms", "The time in which the agent had to stop, or was observed, or the patience."),
    ("status", "ok, failed or skipped."),
    ("reason", "Why the step failed or was not played; empty for ok."),
    *((metric.name, metric.doc) for metric in OF_CALLS),
)
"""Every column with its description; new ones are added at the end."""


def call_row(turn: Timeline) -> list[object]:
    """Return the cells of a turn of a call, in the order of `CALL_COLUMNS`; None is empty."""
    call = turn.call
    assert call is not None
    status, reason = "ok", ""
    if turn.failure is not None:
        status, reason = "failed", turn.failure.reason
    elif call.skipped:
        status, reason = "skipped", call.skipped
    return [
        turn.turn,
        turn.phase,
        call.call,
        call.step,
        call.kind,
        *(quoted(text) if text else None for text in (call.said, call.heard, call.reply)),
        call.spoken_from_ns / 1e9,
        call.spoken_until_ns / 1e9,
        call.limit_ms,
        status,
        quoted(reason) if reason else None,
        *(_whole(metric.of(turn)) for metric in OF_CALLS),
    ]


def _whole(value: float | None) -> float | int | None:
    return int(value) if value is not None and value.is_integer() else value
