"""The sweep: find the settings that start to speak earliest without stalls.

Every combination of the varied settings is a *candidate*. All candidates are open at once; those
that differ only in chunk sizes share their engines. All answer each prompt, in an order that
changes from prompt to prompt, so that no drift favours one. Each has a run folder of its own.
`voicebench.judging.best_setting` chooses the best, or says that the turns are too few.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial

from voicebench.errors import CannotMeasure, UsageError
from voicebench.figures.comparison import Side, side_of
from voicebench.format import plural
from voicebench.judging.best_setting import Choice, Contender, choose
from voicebench.judging.digest import Chunks, Digest
from voicebench.measuring.open_run import OpenRun, open_folder, take_in_turn
from voicebench.measuring.plan import Observer
from voicebench.measuring.session import check_session
from voicebench.settings import Effective, Settings, load_settings, parse_override
from voicebench.targets import Target
from voicebench.targets.cascade import Cascade
from voicebench.targets.kinds import open_target

MOST_CANDIDATES = 24
USUAL = ("chunker.first_words=1,2,3,4",)
REPLAYED = ("chunker.first_words", "chunker.later_words")
"""The settings that can be varied in a replay of a recorded run."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One combination of the varied settings."""

    effective: Effective
    varied: Mapping[str, object]

    @property
    def label(self) -> str:
        """The varied settings: ``first_words=2 later_words=8``."""
        return " ".join(f"{key.rpartition('.')[2]}={value}" for key, value in self.varied.items())


@dataclass(frozen=True, slots=True, eq=False)
class CandidateResult:
    """The figures of a candidate."""

    candidate: Candidate
    side: Side
    chunks: Chunks
    noise: tuple[str, ...] = ()
    """What disturbed the machine during its turns."""
    invalid: bool = False
    """Whether that was too much for a choice."""


@dataclass(frozen=True, slots=True, eq=False)
class Sweep:
    """Results of a sweep."""

    results: tuple[CandidateResult, ...]
    interrupted: str | None = None
    """``2 of 12 turns`` if the user interrupted it; the candidates are not comparable then."""


def parse_variation(text: str) -> tuple[str, list[object]]:
    """Read ``section.key=a,b,c``. Raises `UsageError`."""
    key, separator, values = text.partition("=")
    parts = [part.strip() for part in values.split(",") if part.strip()]
    if not separator or not parts:
        raise UsageError(
            f"--vary {text!r} is not 'section.key=a,b,c'",
            "write for example --vary chunker.first_words=1,2,3",
        )
    return key.strip(), [parse_override(f"{key}={part}")[1] for part in parts]


def candidates(
    base: Effective, variations: Sequence[tuple[str, Sequence[object]]]
) -> list[Candidate]:
    """Return every combination. Raises `UsageError` for too many, or for a value not allowed."""
    keys = [key for key, _ in variations]
    combinations = list(itertools.product(*(values for _, values in variations)))
    if len(combinations) > MOST_CANDIDATES:
        raise UsageError(
            f"{len(combinations)} combinations are more than the {MOST_CANDIDATES} allowed",
            "vary fewer settings at once",
        )
    found: list[Candidate] = []
    for values in combinations:
        varied = dict(zip(keys, values, strict=True))
        settings = load_settings(None, {**base.given, **varied})
        name = f"{base.settings.run.name[:48]}-tune{len(found) + 1:02d}"
        found.append(Candidate(_named(settings, name), varied))
    return found


def tune(found: Sequence[Candidate], observer: Observer) -> Sweep:
    """Measure the candidates alternately. Raises a `VoicebenchError` if one cannot be measured."""
    for candidate in found:
        check_candidate(candidate.effective.settings)
    with ExitStack() as stack:
        targets = _open_all(found, observer, stack)
        runs: list[OpenRun] = []
        for candidate, target in zip(found, targets, strict=True):
            prompts = runs[0].prompts if runs else None
            runs.append(
                stack.enter_context(open_folder(candidate.effective, target, observer, prompts))
            )
        take_in_turn(runs, partial(rotated, len(runs)), observer)
        recorded = [run.finish() for run in runs]
    for one in recorded:
        if one.not_kept is not None:
            raise CannotMeasure(one.not_kept)
    results = tuple(
        replace(
            result_of(candidate, one.digest), noise=one.judged.noise, invalid=one.judged.invalid
        )
        for candidate, one in zip(found, recorded, strict=True)
    )
    if not any(run.interrupted for run in runs):
        return Sweep(results)
    taken = sum(one.side.columns.turns for one in results)
    wanted = sum(turn.phase == "measured" for run in runs for turn in run.planned)
    return Sweep(results, f"{taken} of {plural(wanted, 'turn')}")


def check_candidate(settings: Settings) -> None:
    """Raise `UsageError` for settings that cannot be measured, or that ask for a baseline."""
    if settings.judge.baseline is not None or settings.judge.is_held_to_nothing:
        raise UsageError(
            "tune compares its candidates with each other, and with no baseline",
            "leave judge.baseline and judge.max_regression out",
        )
    check_session(settings)


def result_of(candidate: Candidate, digest: Digest) -> CandidateResult:
    """Return the figures of a candidate, from the digest of its turns."""
    settings = candidate.effective.settings.model_dump()
    return CandidateResult(candidate, side_of(digest.columns, settings, {}), digest.chunks)


def rotated(count: int, number: int) -> list[int]:
    """Return the order of ``count`` candidates in round ``number``, from 0.

    Every second round reverses the one before it; every other round starts one candidate further.
    """
    order = [(index + number // 2) % count for index in range(count)]
    return order[::-1] if number % 2 else order


def best_of(results: Sequence[CandidateResult]) -> Choice:
    """Return the best candidate, or that the turns are too few to choose one."""
    return choose([Contender(one.side, _lengths(one.candidate)) for one in results])


def _lengths(candidate: Candidate) -> tuple[int, int]:
    chunker = candidate.effective.settings.chunker
    return chunker.first_words, chunker.later_words


def _named(effective: Effective, name: str) -> Effective:
    run = effective.settings.run.model_copy(update={"name": name})
    return Effective(effective.settings.model_copy(update={"run": run}), effective.origins)


def _open_all(found: Sequence[Candidate], observer: Observer, stack: ExitStack) -> list[Target]:
    """Open a target for each candidate; those that differ only in chunk sizes share engines."""
    opened: dict[str, Target] = {}
    targets: list[Target] = []
    for candidate in found:
        settings = candidate.effective.settings
        shared = opened.get(_engines_of(settings))
        if isinstance(shared, Cascade):
            chunker = settings.chunker
            targets.append(shared.with_chunks(chunker.first_words, chunker.later_words))
            continue
        target = stack.enter_context(closing(open_target(settings, observer.say)))
        opened[_engines_of(settings)] = target
        targets.append(target)
    return targets


def _engines_of(settings: Settings) -> str:
    """Return a text that is equal for two candidates that can share their engines."""
    run = settings.run.model_copy(update={"name": ""})
    return settings.model_copy(update={"run": run}).model_dump_json(exclude={"chunker"})
