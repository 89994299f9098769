"""The sprint as data: what the Markdown page shows and the JSON file keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, StringConstraints

from voicebench.judging.final import Word
from voicebench.sprints.readings import Reading

ASPECTS = ("quality", "latency", "streaming", "humanity", "connectivity")
WORDS = tuple(Word)

Lang = Literal["en", "fr"]
LANGUAGES: tuple[Lang, ...] = get_args(Lang)


@dataclass(frozen=True, slots=True)
class Text:
    """A text by a person, in each language."""

    en: str
    fr: str


def _both(value: object) -> object:
    """Return a text in one language as the text of both."""
    if isinstance(value, str):
        return {"en": value, "fr": value}
    if not isinstance(value, dict | Text):
        raise ValueError("write a text, or one in each language: { en = …, fr = … }")
    return value


def _listed(value: object) -> object:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _number_as_text(value: object) -> object:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:g}" if is_number else value


Prose = Annotated[Text, BeforeValidator(_both)]
Paragraphs = Annotated[tuple[Prose, ...], BeforeValidator(_listed)]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence as data: its key in ``wording.toml``, and the figures for its places."""

    key: str
    figures: Mapping[str, str | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit: abbreviated hash, first line of its message, day."""

    hash: str
    subject: str
    day: str = ""


@dataclass(frozen=True, slots=True)
class FileChange:
    """Changes of the commits to one file; None if no lines were counted."""

    path: str
    added: int | None = None
    removed: int | None = None
    note: Prose | None = None
    """A person's remark on the change."""


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
            not self.failed and self.first_audio_ms is not None and self.first_audio_ms < limit_ms
        )


@dataclass(frozen=True, slots=True)
class SprintStanding:
    """The verdict of one result, its reasons, and its advice."""

    word: Word
    judged: bool
    """Whether the figures may be judged; those of an invalid or interrupted run may not."""
    why: tuple[Sentence, ...] = ()
    """Why nothing is judged, or what besides the gates speaks against the figures."""
    advice: tuple[Sentence, ...] = ()
    """What was found in the turns with its remedy, the gravest first."""


@dataclass(frozen=True, slots=True)
class Basis:
    """Values that have to agree before the figures of two results may be compared."""

    settings: Mapping[str, object]
    """The settings that decide what was measured and what its numbers mean, by their flat keys."""
    prompts: tuple[str, ...] | None
    """A short digest of each prompt; None where there are too many to keep."""
    result: str
    """The run's folder."""


@dataclass(frozen=True, slots=True)
class RunTable:
    """The runs of one result. ``runs`` may be a shortlist of the ``count`` runs."""

    name: str
    limit_ms: float
    runs: tuple[RunFigures, ...]
    count: int
    kept: int
    best_ms: float | None
    best_run: int | None
    standing: SprintStanding | None = None
    """None for what was imported."""
    basis: Basis | None = None
    stalled: int = 0
    """How many of the runs stall during playback."""

    @property
    def judged(self) -> bool:
        """Whether the figures may be judged."""
        return self.standing is None or self.standing.judged


@dataclass(frozen=True, slots=True)
class TextLength:
    """How long the voice took for texts of one length: medians, where there are several."""

    characters: Annotated[str, BeforeValidator(_number_as_text)]
    first_byte_ms: float
    total_ms: float
    chunks: int | None = None
    """How many texts there were; None if unknown."""


@dataclass(frozen=True, slots=True)
class FirstChunk:
    """How long the voice took for one first chunk."""

    text: Prose
    first_byte_ms: float
    cold: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """One key change: its title, the state before and after, and the code that shows it."""

    title: Prose
    before: Prose | None = None
    after: Prose | None = None
    text: Paragraphs = ()
    code: str = ""
    language: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+#.-]{0,20}$")] = ""


@dataclass(frozen=True, slots=True)
class Suite:
    """The report of a test run, besides how many tests passed."""

    skipped: int | None = None
    warnings: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """Points of ten for one aspect; None where nothing was measured."""

    aspect: str
    points: float | None
    by_hand: bool = False
    why: tuple[Sentence, ...] = ()


@dataclass(frozen=True, slots=True)
class Setup:
    """The settings of the assistant that the analysis needs."""

    first_words: int | None = None
    later_words: int | None = None
    sequential: bool | None = None


@dataclass(frozen=True, slots=True)
class Reported:
    """The analysis that an imported report contains, in its own words."""

    well: Paragraphs = ()
    improve: Paragraphs = ()
    to_try: Paragraphs = ()


@dataclass(frozen=True, slots=True)
class Sprint:
    """All data of one sprint."""

    number: int
    started_at: str | None
    commit: str | None
    """The commit at which the sprint was written."""
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
    imported: bool = False
    """Whether the figures were imported; then ``commit`` may be of another repository."""
    title: Text | None = None
    changes: tuple[Change, ...] = ()
    first_chunks: tuple[FirstChunk, ...] = ()
    suite: Suite = Suite()
    reported: Reported = Reported()
    closing: Text | None = None

    @property
    def total(self) -> float | None:
        """The total as it was reported, else the sum of the aspects."""
        return self.sum_of_aspects if self.score_total is None else self.score_total

    @property
    def sum_of_aspects(self) -> float | None:
        """The sum of all points; None if no aspect has any."""
        points = [score.points for score in self.scores if score.points is not None]
        return round(sum(points), 1) if points else None

    @property
    def possible(self) -> int:
        """The highest possible total: ten points for each aspect that has any."""
        scored = sum(score.points is not None for score in self.scores)
        return 10 * (scored or len(ASPECTS))

    def reading(self, name: str) -> Reading | None:
        """Return the reading of ``name``; None if the sprint has no such reading."""
        return next((reading for reading in self.readings if reading.name == name), None)

    def worst_missed(self, metric: str) -> Reading | None:
        """Return the reading of ``metric`` that misses its target the most, if one does."""
        missed = [
            reading
            for reading in self.readings
            if reading.metric == metric and reading.judged and reading.is_met() is False
        ]
        return max(missed, key=lambda reading: reading.value or 0.0, default=None)

    @property
    def word(self) -> Word | None:
        """The verdict on all results, the worst of them; None if all are imported."""
        words = [table.standing.word for table in self.tables if table.standing is not None]
        return min(words, key=WORDS.index, default=None)

    def name_of(self, table: RunTable) -> str:
        """Return the name of a result if the sprint has several; else an empty text."""
        return table.name if self.has_several_results() else ""

    def has_several_results(self) -> bool:
        """Return whether each row has to name its result."""
        return len(self.tables) > 1
