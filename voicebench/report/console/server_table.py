"""The table of what servers say of themselves, beside our figure of the same and the difference."""

from __future__ import annotations

from rich.text import Text

from voicebench import format as form
from voicebench.figures.summary import Distribution, Summary, percentile
from voicebench.report.console.style import QUIET, Column, Sheet

_PARTS = (
    ("LLM: first token", "server_llm_ms", "transport_llm_ms"),
    ("voice: first sound", "server_tts_ms", "transport_tts_ms"),
)
NOTE = "theirs on their clock; ours from when the request was sent; the difference is the transport"


def server_sheet(summary: Summary) -> Sheet | None:
    """Return the table; None where no server says how long it took."""
    rows = [part for part in _PARTS if summary.metrics[part[1]].values]
    if not rows and summary.metrics["server_ms"].values:
        rows = [("whole turn", "server_ms", "transport_ms")]
    if not rows:
        return None
    theirs = [summary.metrics[server] for _, server, _ in rows]
    between = [summary.metrics[transport] for _, _, transport in rows]
    # A turn shows both or neither, so the two columns of values are of the same turns.
    ours = [
        [server + way for server, way in zip(one.values, other.values, strict=True)]
        for one, other in zip(theirs, between, strict=True)
    ]
    columns = [
        Column("of what", [Text(name) for name, _, _ in rows], "left"),
        Column("n", [Text(str(len(one.values)), QUIET) for one in theirs], spare=2),
        Column("its own\np50", [_middle(one) for one in theirs]),
        Column("ours\np50", [Text(form.ms(percentile(values, 50))) for values in ours]),
        Column("difference\np50", [_middle(one) for one in between]),
    ]
    return Sheet("What servers say, in ms", columns, [Text(NOTE, QUIET)])


def _middle(found: Distribution) -> Text:
    return Text(form.ms(found.quantile(50)[0]))
