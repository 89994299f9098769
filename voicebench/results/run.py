"""One recorded run, read from its folder. Every report and comparison uses it.

``turns.jsonl`` is the measurement. Its lines are read once, on all cores if there are many, and
become a digest (`voicebench.judging.digest`): the figures of all turns, and a few whole turns. This
is the same for 20 turns and for 200,000. The gates are judged again from the figures. What cannot
be computed from the turns, such as the comparison with a baseline, is read from ``summary.json``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from voicebench.errors import CannotMeasure, ResultsError, UsageError
from voicebench.figures.columns import Columns
from voicebench.figures.comparison import Side
from voicebench.figures.summary import Summary
from voicebench.judging.advice import advise
from voicebench.judging.advice_sentences import Advice
from voicebench.judging.comparability import Measured, other_series, other_target
from voicebench.judging.digest import Digest, merged, part_of
from voicebench.judging.final import Final, Taken, Word
from voicebench.judging.gates import GateResult
from voicebench.judging.judgement import judge_gates, planned_turns
from voicebench.results.batches import is_cut, map_turns, turn_numbered
from voicebench.results.document import summary_document
from voicebench.results.folder import ENVIRONMENT, INCOMPLETE, SETTINGS, SUMMARY, TURNS, audio_file
from voicebench.results.judged import Judged
from voicebench.results.reading import (
    check_folder,
    name_in,
    number_in,
    object_in,
    read_document,
    read_summary,
    run_folders,
)
from voicebench.turn.timeline import Timeline


@dataclass(frozen=True, eq=False)
class RecordedRun:
    """One recorded run."""

    path: Path
    settings: Mapping[str, object]
    environment: Mapping[str, object]
    digest: Digest
    complete: bool
    cut_line: bool
    """Whether the last line of the turns was cut off while it was being written."""
    stored: Mapping[str, object]
    """``summary.json``; empty if there is none."""
    gates: tuple[str, ...] | None = None
    """The gates to judge by; None for those of the run's settings."""
    not_kept: str | None = None
    """Why the folder could not be finished when the run ended; None if it could."""

    @property
    def name(self) -> str:
        """The run's name; the folder's name if the settings have none."""
        return name_in(self.settings) or self.path.name

    @property
    def target(self) -> str | None:
        """The kind of target in the settings."""
        target = object_in(self.settings, "run").get("target")
        return None if target is None else str(target)

    @property
    def started_at(self) -> str | None:
        """When the first turn began."""
        return self.digest.started_at

    @property
    def columns(self) -> Columns:
        """The figures of the measured turns."""
        return self.digest.columns

    @property
    def summary(self) -> Summary:
        """The distributions of the measured turns."""
        return self.digest.summary

    @property
    def taken(self) -> Taken:
        """How many turns were measured, of how many planned."""
        return Taken(
            self.summary.turns,
            self.summary.failed,
            planned_turns(self.settings),
            complete=self.complete and not self.cut_line,
            stray=sum(one.kind == "late sound" for one in self.digest.remarks),
        )

    @cached_property
    def gate_results(self) -> tuple[GateResult, ...]:
        """The verdicts of the gates. Raises `UsageError` if this version cannot read one."""
        return judge_gates(self.settings, self.summary, self.gates)

    @cached_property
    def judged(self) -> Judged:
        """The stored part of the judgement."""
        return Judged.of(self.stored)

    @cached_property
    def final(self) -> Final:
        """The final verdict. Raises `UsageError` for a gate that this version cannot read."""
        found = self.judged.final(self.taken, [result.verdict for result in self.gate_results])
        return found if self.not_kept is None else found.but_not_kept(self.not_kept)

    @cached_property
    def advice(self) -> tuple[Advice, ...]:
        """What is wrong in the run and what to do about it, the most serious first."""
        return advise(self.digest, self.gate_results, self.environment)

    @property
    def word(self) -> Word | None:
        """The word of the final verdict; None if this version cannot read one of the gates."""
        try:
            return self.final.word
        except UsageError:
            return None

    @property
    def previous(self) -> Mapping[str, float]:
        """The figures of the previous run for this run's gates, by name."""
        figures = object_in(object_in(self.stored, "previous"), "figures")
        known = {name: number_in(figures, name) for name in figures}
        return {name: value for name, value in known.items() if value is not None}

    @property
    def server_urls(self) -> tuple[str, ...]:
        """The URLs of the servers that the target, or an engine of it, was reached at."""
        target = object_in(self.environment, "target")
        described = (target, object_in(target, "llm"), object_in(target, "tts"))
        return tuple(str(part["url"]) for part in described if part.get("url"))

    @property
    def is_over_a_socket(self) -> bool:
        """Whether the whole turn, or its audio, came over a WebSocket."""
        return any(url.startswith(("ws:", "wss:")) for url in self.server_urls)

    @property
    def is_over_a_wire(self) -> bool:
        """Whether the target or one of its engines was reached over a connection."""
        return bool(self.server_urls)

    @property
    def side(self) -> Side:
        """The run's side of a comparison."""
        return Side(self.columns, self.settings, self.environment, self.summary)

    def require_measured(self) -> None:
        """Raise `CannotMeasure` if no turn succeeded, or if the run could not be kept."""
        if self.not_kept is not None:
            raise CannotMeasure(self.not_kept)
        if self.final.word is Word.NOTHING_MEASURED:
            reasons = sorted(failed.reason for failed in self.digest.failures)
            turns = "the one measured turn failed"
            if self.summary.turns > 1:
                turns = f"every one of the {self.summary.turns} measured turns failed"
            raise CannotMeasure(
                f"{turns}: {reasons[0]}" if reasons else "no turn was measured",
                f"the turns are in {self.path}",
            )

    def document(self) -> dict[str, object]:
        """Return the figures in the form of ``summary.json``, computed again."""
        about = {"folder": str(self.path), **object_in(self.stored, "run"), **self._about()}
        document = summary_document(about, self.digest, self.gate_results, self.final)
        return {**document, "advice": self._advice()}

    def document_with(
        self,
        about: Mapping[str, object],
        judgement: Mapping[str, object],
        previous: Mapping[str, object] | None,
    ) -> dict[str, object]:
        """Return the content of ``summary.json`` for a run that has just ended.

        ``about`` describes the run beside its settings, ``judgement`` is what is judged beside the
        gates, and ``previous`` has the figures of the previous run.
        """
        judged = Judged.of({"judgement": judgement})
        final = judged.final(self.taken, [result.verdict for result in self.gate_results])
        return {
            **summary_document({**self._about(), **about}, self.digest, self.gate_results, final),
            "advice": self._advice(),
            "judgement": {"verdict": final.word.value, **judgement},
            "previous": previous,
        }

    def _about(self) -> dict[str, object]:
        return {
            "name": self.name,
            "started_at": self.started_at,
            "complete": self.complete,
            "target": self.target,
            "voicebench": self.environment.get("voicebench"),
        }

    def _advice(self) -> list[dict[str, str]]:
        return [{"finding": one.finding, "remedy": one.remedy} for one in self.advice]

    def audio_of(self, turn: Timeline) -> Path | None:
        """Return the WAV of a turn; None if its audio was not kept."""
        return audio_file(self.path, turn.turn)


def read_run(path: Path, gates: Sequence[str] | None = None) -> RecordedRun:
    """Read the run folder at ``path``. It is judged by ``gates``, or else by its own gates.

    Raises `ResultsError` if it is not a readable run folder or has no finished turn.
    """
    folder = check_folder(path)
    # Older versions, without a final verdict, also wrote the turn that the user interrupted.
    before = (folder / INCOMPLETE).exists() and "exit_code" not in _stored(folder)
    digest = read_digest(folder, finished_only=before)
    if not digest.phases:
        raise ResultsError(f"{path} holds no finished turn")
    return read_documents(folder, digest, gates)


def read_documents(folder: Path, digest: Digest, gates: Sequence[str] | None = None) -> RecordedRun:
    """Read the documents beside the turns of ``folder``, whose ``digest`` is known."""
    return RecordedRun(
        path=folder,
        settings=read_document(folder / SETTINGS),
        environment=read_document(folder / ENVIRONMENT),
        digest=digest,
        complete=not (folder / INCOMPLETE).exists(),
        cut_line=is_cut(folder / TURNS),
        stored=_stored(folder),
        gates=None if gates is None else tuple(gates),
    )


def read_digest(folder: Path, *, finished_only: bool) -> Digest:
    """Read the turns of ``folder``, each line once. Raises `ResultsError`.

    A last line that was cut off is skipped. With ``finished_only`` so is a last turn that the user
    interrupted: it is stored as a failed turn, but is neither failed nor measured.
    """
    parts = map_turns(folder, part_of, finished_only=finished_only)
    try:
        return merged(parts, partial(turn_numbered, folder))
    except (TypeError, ValueError, ArithmeticError) as error:
        raise ResultsError(f"{folder / TURNS} has impossible values ({error})") from None


def previous_run(results: Path, name: str, before: Path, like: Measured) -> RecordedRun | None:
    """Return the latest complete run of ``name`` that began before the run in ``before``.

    ``like`` is the run in ``before``. Runs of another series (another target, other prompts) are
    skipped.
    """
    earlier = [folder for folder in run_folders(results, name) if folder.name < before.name]
    for folder in reversed(earlier):
        try:
            settings = read_document(folder / SETTINGS)
            if name_in(settings) != name or other_target(settings, like.settings):
                continue
            run = read_run(folder)
        except ResultsError:
            continue
        if not other_series(run, like):
            return run
    return None


def _stored(folder: Path) -> Mapping[str, object]:
    path = folder / SUMMARY
    if not path.is_file():
        return {}
    try:
        return read_summary(path)
    except ResultsError:
        if (folder / INCOMPLETE).exists():
            return {}  # the run was stopped while it was writing this file
        raise
