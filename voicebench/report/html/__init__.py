"""The HTML report."""

from __future__ import annotations

from collections.abc import Sequence

from voicebench.report.recorded import Recorded


def html_report(runs: Sequence[Recorded], *, sort: bool = False) -> str:
    return ""
