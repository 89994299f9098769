"""Write the generated parts of ``docs/metrics.md``: the table of metrics and the default gates.

    python tools/write_metrics_doc.py            # bring the page up to date
    python tools/write_metrics_doc.py --check    # exit 1 where it is not

Everything between ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->`` is made from the code; all
else on the page is written by hand.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from voicebench.metrics import METRICS  # noqa: E402
from voicebench.settings import DEFAULT_GATES  # noqa: E402

PAGE = ROOT / "docs" / "metrics.md"

UNITS = {
    "ms": "ms",
    "s": "s",
    "count": "a count",
    "x": "×",
    "per_s": "per second",
    "bool": "0 or 1",
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


def default_gates() -> str:
    """Return the gates that judge a run unless others are given, as a block of code."""
    return "\n".join(["```text", *DEFAULT_GATES, "```"])


PARTS = {"metrics": metrics_table, "default gates": default_gates}


def fill(page: str) -> str:
    """Return ``page`` with each generated part brought up to date."""
    for name, make in PARTS.items():
        part = re.compile(rf"(<!-- {name}: begin -->\n).*?(<!-- {name}: end -->)", re.DOTALL)
        if len(part.findall(page)) != 1:
            raise SystemExit(f"{PAGE} has not exactly one part {name!r}")
        made = make()
        page = part.sub(lambda found, made=made: f"{found[1]}\n{made}\n\n{found[2]}", page)
    return page


def main() -> None:
    """Write the page, or say that it is out of date."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--check", action="store_true", help="change nothing; exit 1 if stale")
    page = PAGE.read_text(encoding="utf-8")
    filled = fill(page)
    if arguments.parse_args().check:
        if filled != page:
            sys.exit(f"{PAGE} is out of date; run: python tools/{Path(__file__).name}")
        return
    PAGE.write_text(filled, encoding="utf-8")


if __name__ == "__main__":
    main()
