"""``docs/reference/csv.md`` names every column of every table, in order, and its example runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from command_line import voicebench
from handmade import sprint_turns
from recorded_folders import write_result

from voicebench.load.recorded.turn_tables import LOADED_COLUMN_DOCS
from voicebench.results.csv_rows import COLUMNS
from voicebench.results.tables import EVENT_COLUMN_DOCS, FROM_TURNS, LONG_COLUMN_DOCS

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "csv.md").read_text(encoding="utf-8")
TABLES = {
    "One row for each turn": (("result", "Name of the run folder."), *COLUMNS),
    "One row for each metric": LONG_COLUMN_DOCS,
    "One row for each event": EVENT_COLUMN_DOCS,
    "Turns under load": LOADED_COLUMN_DOCS,
}


@pytest.mark.parametrize("title", TABLES)
def test_a_table_names_its_columns_in_order(title: str) -> None:
    below = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \| (.*) \|$", below, re.MULTILINE) == [
        (name, doc.replace("|", "\\|")) for name, doc in TABLES[title]
    ]


def test_the_number_of_turns_from_which_rows_are_taken_as_stored() -> None:
    assert f"more than {FROM_TURNS:,} turns" in PAGE


def test_the_example_runs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = write_result(tmp_path, sprint_turns())
    assert voicebench("export", str(folder), "-o", "turns.csv") == 0
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(example, "docs/reference/csv.md", "exec"), {})
    assert "305.5" in capsys.readouterr().out
