"""``selftest --streams``: its figures, and its exit code."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from voicebench.cli import app


def test_many_streams_are_printed_and_judged_by_the_limit() -> None:
    result = CliRunner().invoke(
        app, ["selftest", "--streams", "3", "--for", "200ms", "--max", "0.0001ms", "--json"]
    )
    assert result.exit_code == 3
    found = json.loads(result.stdout)
    assert found["streams"] == 3
    assert found["pieces"] == 15


def test_the_table_names_the_target() -> None:
    result = CliRunner().invoke(app, ["selftest", "--streams", "2", "--for", "80ms"])
    assert result.exit_code == 0
    assert "2 for 0.08 s, 4 pieces" in result.stdout
    assert "under 2 ms" in result.stdout
