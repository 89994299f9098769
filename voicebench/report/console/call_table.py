"""The table of spoken calls: one row a step, with its answer, its stop and what was heard."""

from __future__ import annotations

from collections.abc import Callable

from rich.text import Text

from voicebench import format as form
from voicebench.figures.metrics import compute
from voicebench.judging.digest import Digest, MeasuredRun
from voicebench.report.console.style import BAD, GOOD, NEAR, QUIET, Column, Sheet
from voicebench.report.runs import shortlist, shortlist_note
from voicebench.turn.call_turn import CallTurn

MOST_REASONS = 6
CENSORED = "never"
SAID_LEAST = 12


def is_of_calls(digest: Digest) -> bool:
    """Return whether the turns of a run are of spoken calls."""
    return digest.columns.calls > 0


def call_sheet(digest: Digest) -> Sheet | None:
    """Return the table; None if the turns are not of calls."""
    if not is_of_calls(digest):
        return None
    rows = [(run, run.turn.call) for run in shortlist(digest) if run.turn.call is not None]
    values = [compute(run.turn) for run, _ in rows]
    calls = {call.call for _, call in rows}

    def figures(head: str, metric: str, spare: int = 0) -> Column:
        cells = [Text(form.number(found[metric], "ms")) for found in values]
        return Column(head, cells, spare=spare)

    columns = [
        Column("run", [Text(str(run.number)) for run, _ in rows]),
        *(
            [Column("call", [Text(str(call.call), QUIET) for _, call in rows], spare=5)]
            if len(calls) > 1
            else []
        ),
        Column("the caller", [_said(call) for _, call in rows], "left", spare=1, least=SAID_LEAST),
        figures("end of\nturn", "endpoint_ms", spare=4),
        figures("trans-\nscript", "transcript_ms", spare=6),
        figures("reply\ntext", "reply_text_ms", spare=5),
        figures("answer", "response_ms"),
        Column("stop", [_stop(found) for found in values]),
        figures("both\nspeak", "overlap_ms", spare=3),
        Column(
            "word\nerrors",
            [Text(form.number(found["heard_wer"], "share")) for found in values],
            spare=7,
        ),
        Column(
            "status",
            [_status(run, call, found) for (run, call), found in zip(rows, values, strict=True)],
            "left",
        ),
    ]
    return Sheet("Steps, in ms", columns, _notes(digest), folds=True)


def heard_sheet(digest: Digest) -> Sheet | None:
    """Return what was said and what was heard; None without transcripts or replies."""
    rows = [(run, run.turn.call) for run in shortlist(digest) if run.turn.call is not None]
    shown = [(run, call) for run, call in rows if call.heard or call.reply]
    if not shown:
        return None
    texts: list[tuple[str, Callable[[CallTurn], str]]] = [
        ("the caller said", lambda call: call.said),
        ("the agent heard", lambda call: call.heard),
        ("the agent answered", lambda call: call.reply),
    ]
    columns = [Column("run", [Text(str(run.number)) for run, _ in shown])]
    columns += [
        Column(
            head,
            [Text(form.one_line(of(call)) or form.NOTHING) for _, call in shown],
            "left",
            least=16,
        )
        for head, of in texts
    ]
    return Sheet("Said and heard", columns, folds=True)


def response_line(digest: Digest) -> str:
    """Return the calls, the steps, the failures and the answers in one line."""
    summary, found = digest.summary, digest.summary.metrics["response_ms"]
    counts = f"{form.plural(digest.columns.calls, 'call')}, {form.plural(summary.turns, 'step')}, "
    counts += f"{summary.failed} failed"
    if not found.values:
        return counts
    tail, carried = found.quantile(95)
    named = "p95" if carried else f"max of {len(found.values)}"
    return (
        f"{counts} · answer {form.quantity(found.quantile(50)[0], 'ms')} p50, "
        f"{form.quantity(tail, 'ms')} {named}"
    )


def _said(call: CallTurn) -> Text:
    said = form.one_line(call.said) or "(a recording)"
    mark = {"line": "", "interruption": "↯ ", "noise": "~ "}[call.kind]
    return Text(f"{mark}{said}", QUIET if call.skipped else "")


def _stop(found: dict[str, float | None]) -> Text:
    if found["stopped"] == 0:
        return Text(CENSORED, BAD)
    return Text(form.number(found["stop_ms"], "ms"))


def _status(run: MeasuredRun, call: CallTurn, found: dict[str, float | None]) -> Text:
    """Return the status: the gravest that applies."""
    outcomes = (
        (bool(call.skipped) and not run.turn.failed, "not played", NEAR),
        (found["missed"] == 1, "no answer", f"bold {BAD}"),
        (run.turn.failed, "! failed", f"bold {BAD}"),
        (found["cut_in"] == 1, "cut in", BAD),
        (found["false_stop"] == 1, "stopped falsely", BAD),
        (found["false_stop"] == 0, "ignored", GOOD),
        (call.kind == "noise", "undecided", NEAR),
        (found["stopped"] == 0, "talked on", BAD),
        (found["stopped"] == 1, "stopped", GOOD),
    )
    word, style = next(
        ((word, style) for holds, word, style in outcomes if holds), ("answered", GOOD)
    )
    return Text(word, style)


def _notes(digest: Digest) -> list[Text]:
    stop = digest.summary.metrics["stop_ms"]
    notes = []
    if stop.censored:
        count = len(stop.values) + stop.censored
        notes.append(
            Text(
                f"{stop.censored} of {form.plural(count, 'interruption')} never confirmed: they "
                "have no stop time, and count as slower than any",
                BAD,
            )
        )
    reasons = [
        f"run {run.number}: {run.turn.failure.reason}"
        for run in digest.runs
        if run.turn.failure is not None
    ]
    reasons += [
        f"run {run.number} was not played: {run.turn.call.skipped}"
        for run in digest.runs
        if run.turn.call is not None and run.turn.call.skipped and not run.turn.failed
    ]
    notes += [Text(form.one_line(reason)) for reason in reasons[:MOST_REASONS]]
    if len(reasons) > MOST_REASONS:
        notes.append(Text(f"and {len(reasons) - MOST_REASONS} more, in runs.csv", QUIET))
    left_out = shortlist_note(digest)
    return [*notes, Text(left_out, QUIET)] if left_out else notes
