"""Rows of the table: a figure, its bound, and whether it is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter

import orjson


@dataclass(frozen=True, slots=True)
class Row:
    """A measured figure; ``kept`` is None if nothing is asked of it."""

    part: str
    name: str
    found: str
    asked: str = ""
    kept: bool | None = None

    @property
    def word(self) -> str:
        """Return the word for the table."""
        return "" if self.kept is None else "kept" if self.kept else "NOT KEPT"


@dataclass
class Report:
    """All rows and raw figures so far; written after each part, so that nothing is lost."""

    folder: Path
    rows: list[Row] = field(default_factory=list)
    figures: dict[str, object] = field(default_factory=dict)

    def add(
        self, part: str, name: str, found: str, asked: str = "", kept: bool | None = None
    ) -> None:
        """Add a row and print it."""
        row = Row(part, name, found, asked, kept)
        self.rows.append(row)
        print(f"{part:14} {name:52} {found:>24}  {asked:16} {row.word}", flush=True)

    def keep(self, name: str, figures: object) -> None:
        """Add raw figures under ``name``, and write everything."""
        self.figures[name] = figures
        content = {"rows": [asdict(row) for row in self.rows], "figures": self.figures}
        options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
        (self.folder / "gpu.json").write_bytes(orjson.dumps(content, option=options))

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Run a part; an error in it is a row, and the other parts still run."""
        begun = perf_counter()
        try:
            yield
        except Exception as error:  # any: one part must not take the others with it
            self.add(name, f"failed: {type(error).__name__}: {error}"[:200], "", "no error", False)
            import traceback

            traceback.print_exc()
        print(f"({name}: {perf_counter() - begun:.1f} s)", flush=True)


def milliseconds(action: Callable[[], object]) -> float:
    """Return how long ``action`` takes, in milliseconds."""
    begun = perf_counter()
    action()
    return 1000 * (perf_counter() - begun)
