"""One run from its settings to its outcome: check, open, measure, judge, record.

Nothing here prints or exits: who wants to follow along passes an `Observer`. Every finished turn
is on disk before the next one begins, so the outcome of a run that was broken off covers what was
finished.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from voicebench.audio.pcm import AudibleRule
from voicebench.environment import describe_environment
from voicebench.events import Event
from voicebench.gates import GateResult, judge, parse_gate
from voicebench.measuring import PlannedTurn, plan_turns, take_turns
from voicebench.prompts import PromptSet, check_prompt, from_prompts, language_of
from voicebench.prompts import load as load_prompts
from voicebench.results.document import summary_document
from voicebench.results.folder import RunFolder, check_writable, create_run_folder
from voicebench.results.reading import previous_run
from voicebench.selftest import QUICK_TURNS, InstrumentError, measure_in_process
from voicebench.settings import AudibleSettings, Effective, Settings
from voicebench.summary import Summary, summarize
from voicebench.targets import Target
from voicebench.targets.opening import check_target, open_target
from voicebench.timeline import Timeline


class Observer(Protocol):
    """Follows a run while it goes on; what it does must be quick."""

    def say(self, line: str) -> None:
        """Take one line about what is going on."""
        ...

    def planned(self, turns: Sequence[PlannedTurn]) -> None:
        """Learn which turns will be taken."""
        ...

    def event(self, at_ns: int, event: Event) -> None:
        """See an event of the present turn, after it was stamped, in the thread of its source."""
        ...

    def turn_done(self, turn: Timeline) -> None:
        """See a finished turn, between two turns."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run brought."""

    folder: Path
    turns: tuple[Timeline, ...]
    summary: Summary
    gate_results: tuple[GateResult, ...]
    document: dict[str, object]
    """What ``summary.json`` holds."""
    environment: dict[str, object]
    previous: Summary | None
    instrument: InstrumentError
    interrupted: bool


def check_session(settings: Settings) -> None:
    """Refuse in milliseconds, before a model is fetched or loaded, what cannot be measured."""
    check_target(settings)
    _prompts(settings, "en")
    check_writable(Path(settings.run.results))


def run_session(effective: Effective, observer: Observer) -> Outcome:
    """Measure what ``effective`` describes. Raises a `VoicebenchError` where nothing can be."""
    settings = effective.settings
    check_session(settings)
    results = Path(settings.run.results)
    with closing(open_target(settings, observer.say)) as target:
        instrument = measure_in_process(QUICK_TURNS)
        planned = _plan(settings, _prompts(settings, _language(target)))
        environment = describe_environment() | {"instrument": instrument.as_dict()}
        with create_run_folder(
            results,
            settings.run.name,
            settings=settings.model_dump() | {"origins": effective.origins},
            environment=environment | {"target": target.describe()},
            save_audio=settings.run.save_audio,
        ) as folder:
            observer.planned(planned)
            taking = _Taking(folder, observer)
            taking.take(target, planned, settings)
            outcome = _judge(settings, taking, folder, environment, instrument)
            folder.write_summary(outcome.document)
            if not outcome.interrupted:
                folder.complete()
    return outcome


class _Taking:
    """The turns taken so far, each on disk; ends early where the user interrupts."""

    def __init__(self, folder: RunFolder, observer: Observer) -> None:
        self._folder = folder
        self._observer = observer
        self.turns: list[Timeline] = []
        self.interrupted = False

    def take(self, target: Target, planned: Sequence[PlannedTurn], settings: Settings) -> None:
        """Take the planned turns until they are done or the user interrupts."""
        recordings = take_turns(
            target,
            planned,
            rule=audible_rule(settings.audible),
            pause_s=settings.run.pause_s,
            watch=self._observer.event,
        )
        try:
            for recording in recordings:
                self._folder.append(recording)
                self.turns.append(recording.timeline)
                self._observer.turn_done(recording.timeline)
        except KeyboardInterrupt:
            self.interrupted = True


def audible_rule(settings: AudibleSettings) -> AudibleRule:
    """Return the rule that ``settings`` describe."""
    return AudibleRule(
        threshold=settings.threshold,
        frame_ms=settings.frame_ms,
        hop_ms=settings.hop_ms,
        min_ms=settings.min_ms,
    )


def _prompts(settings: Settings, language: str) -> PromptSet:
    """Return the prompts that are named, else the built-in set of ``language``."""
    if settings.run.prompt is not None:
        return from_prompts([check_prompt(settings.run.prompt, "--prompt")], language)
    return load_prompts(settings.run.prompts, language)


def _language(target: Target) -> str:
    """Return the language of the target's voice, for a fitting set of prompts."""
    description = target.describe()
    tts = description.get("tts")
    tag = tts.get("language") if isinstance(tts, dict) else None
    return language_of(str(tag or "en"))


def _plan(settings: Settings, prompts: PromptSet) -> list[PlannedTurn]:
    """Plan one cold turn, the warm-up turns and the measured ones."""
    return plan_turns(
        prompts.rotate_warmup(settings.run.warmup + 1), prompts.rotate(settings.run.runs)
    )


def _judge(
    settings: Settings,
    taking: _Taking,
    folder: RunFolder,
    environment: dict[str, object],
    instrument: InstrumentError,
) -> Outcome:
    summary = summarize(taking.turns)
    results = tuple(judge(parse_gate(gate), summary) for gate in settings.gates)
    earlier = previous_run(Path(settings.run.results), settings.run.name, folder.path)
    run = {
        "name": settings.run.name,
        "folder": str(folder.path),
        "started_at": taking.turns[0].started_at if taking.turns else None,
        "complete": not taking.interrupted,
        "target": settings.run.target,
        "voicebench": environment["voicebench"],
        "instrument": instrument.as_dict(),
    }
    return Outcome(
        folder=folder.path,
        turns=tuple(taking.turns),
        summary=summary,
        gate_results=results,
        document=summary_document(run, taking.turns, summary, results),
        environment=environment,
        previous=summarize(earlier.turns) if earlier else None,
        instrument=instrument,
        interrupted=taking.interrupted,
    )
