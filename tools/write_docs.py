"""Write the parts of the documentation that are generated from the code.

    python tools/write_docs.py            # bring the pages up to date (`make docs`)
    python tools/write_docs.py --check    # exit 1 if one is not

Everything between ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->`` is generated. The rest of a
page is written by hand.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from rich.console import Console

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from house import as_markdown, as_picture  # noqa: E402

from tools import reference_pages as reference  # noqa: E402
from voicebench.figures.metrics import METRICS  # noqa: E402
from voicebench.load.level_document import LEVEL_COLUMNS  # noqa: E402
from voicebench.load.load_gate import LOAD_GATES  # noqa: E402
from voicebench.load.recorded.turn_tables import LOADED_COLUMN_DOCS  # noqa: E402
from voicebench.report.console.console import print_runs  # noqa: E402
from voicebench.results.call_rows import CALL_COLUMNS  # noqa: E402
from voicebench.results.csv_rows import COLUMNS  # noqa: E402
from voicebench.results.run import read_run  # noqa: E402
from voicebench.results.tables import EVENT_COLUMN_DOCS, LONG_COLUMN_DOCS  # noqa: E402
from voicebench.settings import CALL_GATES, DEFAULT_GATES, load_settings  # noqa: E402

DOCS = ROOT / "docs"
EXAMPLE = ROOT / "results" / "example"

UNITS = {
    "ms": "ms",
    "s": "s",
    "count": "a count",
    "x": "×",
    "per_s": "per second",
    "bool": "0 or 1",
    "share": "share",
}
BETTER = {"lower": "lower", "higher": "higher", "neither": "–"}


def metrics_table() -> str:
    """Return every metric as a row of a Markdown table."""
    rows = ["| name | unit | better | meaning |", "|---|---|---|---|"]
    for metric in METRICS:
        meaning = metric.doc.replace("|", "\\|")
        unit, better = UNITS[metric.unit], BETTER[metric.better]
        rows.append(f"| `{metric.name}` | {unit} | {better} | {meaning} |")
    return "\n".join(rows)


def turn_columns() -> str:
    """Return the columns of the CSV with one row for each turn as a Markdown table."""
    return _columns_table((LONG_COLUMN_DOCS[0], *COLUMNS))


def metric_columns() -> str:
    """Return the columns of the CSV with one row for each metric as a Markdown table."""
    return _columns_table(LONG_COLUMN_DOCS)


def event_columns() -> str:
    """Return the columns of the CSV with one row for each event as a Markdown table."""
    return _columns_table(EVENT_COLUMN_DOCS)


def _columns_table(columns: Iterable[tuple[str, str]]) -> str:
    rows = ["| column | meaning |", "|---|---|"]
    rows += [f"| `{name}` | {doc.replace('|', chr(92) + '|')} |" for name, doc in columns]
    return "\n".join(rows)


def default_gates() -> str:
    """Return the default gates as a block of code."""
    return "\n".join(["```text", *DEFAULT_GATES, "```"])


def load_gates() -> str:
    """Return the default gates of a level as a block of code."""
    return "\n".join(["```text", *LOAD_GATES, "```"])


def loaded_columns() -> str:
    """Return the columns that the turns of a run under load have beside the others."""
    return _columns_table(LOADED_COLUMN_DOCS)


def level_columns() -> str:
    """Return the columns of the CSV with one row for each level as a Markdown table."""
    return _columns_table(LEVEL_COLUMNS)


def call_gates() -> str:
    """Return the default gates of calls as a block of code."""
    return "\n".join(["```text", *CALL_GATES, "```"])


def call_columns() -> str:
    """Return the columns of the CSV with one row for each step of a call."""
    return _columns_table(CALL_COLUMNS)


def settings_tables() -> str:
    """Return every setting as a row of a Markdown table, a table for each section."""
    tables: dict[str, list[str]] = {}
    for setting in load_settings():
        section, dot, _ = setting.key.partition(".")
        value = "–" if setting.value is None else f"`{json.dumps(setting.value)}`"
        meaning = setting.description.replace("|", "\\|")
        heading = f"### `[{section}]`" if dot else "### Without a section"
        tables.setdefault(heading, ["", "| setting | default | meaning |", "|---|---|---|"])
        tables[heading].append(f"| `{setting.key}` | {value} | {meaning} |")
    return "\n\n".join("\n".join([heading, *rows]) for heading, rows in tables.items())


def example_run() -> str:
    """Return what `voicebench report` prints of the run in results/example."""
    return _as_text_block(_printed_example())


def example_summary() -> str:
    """Return the first and the last lines of the same: the verdict and the judged figures."""
    lines = _printed_example()
    return _as_text_block([*lines[: lines.index("Runs, in ms")], *lines[-3:]])


def _printed_example() -> list[str]:
    printed = io.StringIO()
    console = Console(file=printed, width=96, color_system=None)
    print_runs(console, [replace(read_run(EXAMPLE), path=EXAMPLE.relative_to(ROOT))])
    return [line.rstrip() for line in printed.getvalue().splitlines()]


def _as_text_block(lines: list[str]) -> str:
    return "\n".join(["```text", *lines, "```"])


PAGES: dict[str, dict[str, Callable[[], str]]] = {
    "explanation/architecture.md": {"layers": as_picture, "rooms": as_markdown},
    "explanation/metrics.md": {"default gates": default_gates},
    "reference/metrics.md": {"metrics": metrics_table},
    "reference/commands.md": {"commands": reference.commands},
    "reference/exit-codes.md": {
        "exit codes": reference.exit_codes,
        "errors": reference.error_classes,
    },
    "reference/python.md": {
        "interface": reference.python_interface,
        "events": reference.event_classes,
    },
    "reference/configuration.md": {"settings": settings_tables},
    "reference/csv.md": {
        "turns": turn_columns,
        "metrics": metric_columns,
        "events": event_columns,
        "loaded turns": loaded_columns,
    },
    "how-to/load.md": {"load gates": load_gates, "level columns": level_columns},
    "how-to/calls.md": {"call gates": call_gates, "call columns": call_columns},
    "how-to/reading-a-run.md": {"example": example_run},
    "tutorial/ten-minutes.md": {"example summary": example_summary},
}
"""The generated parts of each page."""


def fill(page: str, name: str) -> str:
    """Return the text of page ``name`` with up-to-date generated parts."""
    for part_name, make in PAGES[name].items():
        part = re.compile(
            rf"(<!-- {part_name}: begin -->\n).*?(<!-- {part_name}: end -->)", re.DOTALL
        )
        if len(part.findall(page)) != 1:
            raise SystemExit(f"{name} has not exactly one part {part_name!r}")
        found = part.search(page)
        assert found is not None
        page = f"{page[: found.start()]}{found[1]}\n{make()}\n\n{found[2]}{page[found.end() :]}"
    return page


def main() -> None:
    """Write the pages, or say which are out of date."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--check", action="store_true", help="change nothing; exit 1 if stale")
    check = arguments.parse_args().check
    for name in PAGES:
        path = DOCS / name
        page = path.read_text(encoding="utf-8")
        filled = fill(page, name)
        if check and filled != page:
            sys.exit(f"docs/{name} is out of date; run: make docs")
        if filled != page:
            path.write_text(filled, encoding="utf-8")


if __name__ == "__main__":
    main()
