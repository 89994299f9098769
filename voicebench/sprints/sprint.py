"""The sprint as data: what the Markdown tells and the JSON keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from voicebench.judging.final import Word
from voicebench.sprints.commits import Commit, FileChange
from voicebench.sprints.language import Text
from voicebench.sprints.readings import Reading

ASPECTS = ("quality", "latency", "streaming", "humanity", "connectivity")
WORDS = tuple(Word)


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence as data: its key in the words of the page, and what stands in its places."""

    key: str
    figures: Mapping[str, str | float] = field(default_factory=dict)


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
class SprintStanding:
    """How a result stands by its own judgement, and what there is to do about it."""

    word: Word
    judged: bool
    """Whether the verdict is one on the figures: not so of an invalid or interrupted run."""
    why: tuple[Said, ...] = ()
    """Why nothing is judged, or what besides the gates speaks against the figures."""
    advice: tuple[Said, ...] = ()
    """What was found in the turns with its remedy, the gravest first."""


@dataclass(frozen=True, slots=True)
class Basis:
    """What has to agree before the figures of two results may be compared."""

    settings: Mapping[str, object]
    """What was measured and what its numbers mean: the key of each such setting to its value."""
    prompts: tuple[str, ...] | None
    """A short digest of each prompt; None where there are too many to keep."""
    result: str
    """The run's folder."""


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
    standing: SprintStanding | None = None
    """None for what was imported."""
    basis: Basis | None = None
    stalled: int = 0
    """How many of the runs stall while they play."""

    @property
    def judged(self) -> bool:
        """Whether the figures may be judged."""
        return self.standing is None or self.standing.judged


@dataclass(frozen=True, slots=True)
class TextLength:
    """What the voice took for texts of one length: medians, where there are several."""

    characters: str
    first_byte_ms: float
    total_ms: float
    chunks: int | None = None
    """How many texts there were; None where nobody said."""


@dataclass(frozen=True, slots=True)
class FirstChunk:
    """What the voice took for one first chunk."""

    text: Text
    first_byte_ms: float
    cold: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """One key change: what it is, how it was before and after, and the code that shows it."""

    title: Text
    before: Text | None = None
    after: Text | None = None
    text: tuple[Text, ...] = ()
    code: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Suite:
    """What a run of the tests says beside how many passed."""

    skipped: int | None = None
    warnings: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """Points of ten for one aspect; None where nothing was measured."""

    aspect: str
    points: float | None
    by_hand: bool = False
    why: tuple[Said, ...] = ()


@dataclass(frozen=True, slots=True)
class Setup:
    """How the assistant was set up, as far as the analysis needs it."""

    first_words: int | None = None
    later_words: int | None = None
    sequential: bool | None = None


@dataclass(frozen=True, slots=True)
class Reported:
    """What a report says of itself, in its own words."""

    well: tuple[Text, ...] = ()
    improve: tuple[Text, ...] = ()
    to_try: tuple[Text, ...] = ()


@dataclass(frozen=True, slots=True)
class Sprint:
    """Everything that is said of one sprint."""

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
    """Whether somebody else measured it; then ``commit`` may be of another repository."""
    title: Text | None = None
    changes: tuple[Change, ...] = ()
    first_chunks: tuple[FirstChunk, ...] = ()
    suite: Suite = Suite()
    reported: Reported = Reported()
    closing: Text | None = None

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

    def reading(self, name: str) -> Reading | None:
        """Return the reading of ``name``; None where there is none."""
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
        """The verdict of all results together, the worst of them; None where all is imported."""
        words = [table.standing.word for table in self.tables if table.standing is not None]
        return min(words, key=WORDS.index, default=None)

    def said_of(self, table: RunTable) -> str:
        """Return the name of a result where there are several; else nothing."""
        return table.name if self.is_of_several_results() else ""

    def is_of_several_results(self) -> bool:
        """Return whether rows have to say which result they come from."""
        return len(self.tables) > 1
