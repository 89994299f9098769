"""The sprint as data: what the Markdown tells and the JSON keeps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TypeVar

from voicebench.errors import ResultsError
from voicebench.report.sprint.commits import Commit, FileChange
from voicebench.report.sprint.readings import Reading, Status, same, status

SCHEMA = 1
_Kind = TypeVar("_Kind")
ASPECTS = ("quality", "latency", "streaming", "humanity", "connectivity")


@dataclass(frozen=True, slots=True)
class RunFigures:
    """One run of the per-run table, in ms; None where it was not observed."""

    run: int
    llm_ms: float | None
    tts_ttfb_ms: float | None
    first_audio_ms: float | None
    failed: bool = False

    def keeps(self, limit_ms: float) -> bool:
        """Return whether the first audio came under ``limit_ms``."""
        return (
            not self.failed and self.first_audio_ms is not None and (self.first_audio_ms < limit_ms)
        )


@dataclass(frozen=True, slots=True)
class RunTable:
    """The runs of one result. ``runs`` may be a shortlist of the ``count`` runs that were made."""

    name: str
    limit_ms: float
    runs: tuple[RunFigures, ...]
    count: int
    kept: int
    best_ms: float | None
    best_run: int | None


@dataclass(frozen=True, slots=True)
class TextLength:
    """What the voice took for texts of one length: medians, where there are several."""

    characters: str
    first_byte_ms: float
    total_ms: float
    chunks: int = 1


@dataclass(frozen=True, slots=True)
class Score:
    """Points of ten for one aspect; None where nothing was measured."""

    aspect: str
    points: float | None
    by_hand: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class Setup:
    """How the assistant was set up, as far as the analysis needs it."""

    first_words: int | None = None
    later_words: int | None = None
    sequential: bool | None = None


@dataclass(frozen=True, slots=True)
class Sprint:
    """Everything that is said of one sprint."""

    number: int
    started_at: str | None
    commit: str | None
    commits: tuple[Commit, ...]
    files: tuple[FileChange, ...]
    readings: tuple[Reading, ...]
    tables: tuple[RunTable, ...]
    lengths: tuple[TextLength, ...]
    scores: tuple[Score, ...]
    setup: Setup
    results: tuple[str, ...] = ()
    score_total: float | None = None
    """The total as it was reported; None where it is the sum of the aspects."""

    @property
    def total(self) -> float | None:
        """The total as it was reported, else the points of all aspects that have any."""
        return self.sum_of_aspects if self.score_total is None else self.score_total

    @property
    def sum_of_aspects(self) -> float | None:
        """The points of all aspects that have any, added up."""
        points = [score.points for score in self.scores if score.points is not None]
        return round(sum(points), 1) if points else None

    @property
    def possible(self) -> int:
        """The points that could be had: ten for each aspect that has any."""
        scored = sum(score.points is not None for score in self.scores)
        return 10 * scored if scored else 10 * len(ASPECTS)

    def gained(self, before: Sprint | None) -> float | None:
        """Return the change of the total; None where as many points could not be had before."""
        if before is None or self.total is None or before.total is None:
            return None
        if self.possible != before.possible:
            return None
        return round(self.total - before.total, 1)

    def statuses(self, before: Sprint | None) -> list[Status]:
        """Return the status of each reading."""
        earlier = before.readings if before else ()
        return [status(reading, same(reading, earlier)) for reading in self.readings]


def to_json(sprint: Sprint, before: Sprint | None) -> str:
    """Return the document that ``sprint-NNN.json`` holds."""
    document = {"schema": SCHEMA} | asdict(sprint)
    document["previous"] = before.number if before else None
    document["statuses"] = dict(
        zip([reading.name for reading in sprint.readings], sprint.statuses(before), strict=True)
    )
    document["score"] = {"total": sprint.total, "possible": sprint.possible}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def previous_sprint(folder: Path, number: int) -> Sprint | None:
    """Return the latest sprint under ``number`` that lies in ``folder``.

    Raises `ResultsError` where its file cannot be read.
    """
    found = []
    for path in folder.glob("sprint-*.json"):
        digits = path.stem.removeprefix("sprint-")
        if digits.isdecimal() and int(digits) < number:
            found.append((int(digits), path))
    return read_sprint(max(found)[1]) if found else None


def read_sprint(path: Path) -> Sprint:
    """Read ``sprint-NNN.json``. Raises `ResultsError` for anything else."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema"] != SCHEMA:
            raise ResultsError(
                f"{path} has schema {document['schema']!r}, and this voicebench reads {SCHEMA}",
                "read it with the version of voicebench that wrote it",
            )
        return Sprint(
            number=int(document["number"]),
            started_at=document["started_at"],
            commit=document["commit"],
            commits=_all(Commit, document["commits"]),
            files=_all(FileChange, document["files"]),
            readings=_all(Reading, document["readings"]),
            tables=tuple(
                RunTable(**{**table, "runs": _all(RunFigures, table["runs"])})
                for table in document["tables"]
            ),
            lengths=_all(TextLength, document["lengths"]),
            scores=_all(Score, document["scores"]),
            setup=Setup(**document["setup"]),
            results=tuple(document["results"]),
            score_total=document["score_total"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResultsError(f"{path} is no sprint of voicebench ({error})") from None


def _all(kind: type[_Kind], entries: Sequence[Mapping[str, object]]) -> tuple[_Kind, ...]:
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return tuple(
        kind(**{name: value for name, value in entry.items() if name in known}) for entry in entries
    )
