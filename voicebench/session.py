"""One run from its settings to its outcome: check, open, measure, judge, record.

Nothing here prints or exits: who wants to follow along passes an `Observer`. Every finished turn
is on disk before the next one begins, so the outcome of a run that was broken off covers what was
finished.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from voicebench.audio.pcm import AudibleRule
from voicebench.columns import columns_of
from voicebench.comparison import Side, side_of
from voicebench.devices import threads
from voicebench.environment import describe_environment
from voicebench.errors import CannotMeasure, UsageError
from voicebench.events import Event
from voicebench.final import Final, Taken
from voicebench.gates import GateResult, Verdict
from voicebench.judgement import (
    Judgement,
    judge_against,
    judge_gates,
    look_counts,
    planned_turns,
)
from voicebench.machine_state import MachineWatch
from voicebench.measuring import PlannedTurn, plan_idle_turns, plan_turns, take_turns
from voicebench.noise import find_noise
from voicebench.prompts import PromptSet, check_prompt, from_prompts, language_of
from voicebench.prompts import load as load_prompts
from voicebench.recorder import Recording
from voicebench.results.baseline import read_baseline
from voicebench.results.columns import RecordedColumns
from voicebench.results.document import summary_document
from voicebench.results.folder import RunFolder, check_writable, create_run_folder
from voicebench.results.reading import previous_run
from voicebench.results.uninterrupted import uninterrupted
from voicebench.selftest import (
    QUICK_TURNS,
    QUICK_TURNS_BESIDE_AN_ENGINE,
    QUICK_TURNS_OVER_THE_WIRE,
    InstrumentError,
    measure_in_process,
)
from voicebench.settings import AudibleSettings, Effective, Settings, secrets_of
from voicebench.streaming_check import StreamingCheck, check_streaming
from voicebench.summary import Summary, summarize
from voicebench.targets import Target
from voicebench.targets.load import Load, load_beside_clients
from voicebench.targets.opening import (
    check_target,
    described,
    expected_settings,
    named_by_servers,
    open_target,
    recorded_settings,
)
from voicebench.timeline import Timeline
from voicebench.transports import measure_used, transports_of
from voicebench.validity import flags_of


class Observer(Protocol):
    """Follows a run while it goes on; what it does must be quick."""

    def say(self, line: str) -> None:
        """Take one line about what is going on."""
        ...

    def planned(self, turns: Sequence[PlannedTurn]) -> None:
        """Learn which turns will be taken; fewer where the gates are decided before."""
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
    judgement: Judgement
    final: Final
    not_kept: CannotMeasure | None = None
    """Why the run's folder could not be finished, where its disk or somebody else prevented it."""


def run_session(effective: Effective, observer: Observer) -> Outcome:
    """Measure what ``effective`` describes. Raises a `VoicebenchError` where nothing can be."""
    settings = effective.settings
    baseline = check_session(settings)
    with open_run(effective, observer) as run:
        observer.planned(run.planned)
        with until_interrupted(run):
            for count in look_counts(settings.model_dump()):
                run.take_until(count)
                if run.is_decided():
                    break
            run.take_idle()
        return run.finish(baseline)


def check_session(settings: Settings) -> RecordedColumns | None:
    """Refuse in milliseconds, before a model is fetched or loaded, what cannot be measured.

    Returns the baseline where one is named.
    """
    check_target(settings)
    _prompts(settings, "en")
    results = Path(settings.run.results)
    check_writable(results)
    if settings.judge.is_held_to_nothing:
        raise UsageError(
            "--max-regression (judge.max_regression) needs a run to compare with",
            "name it with --baseline, or leave --max-regression out",
        )
    if settings.judge.baseline is None:
        return None
    return read_baseline(
        settings.judge.baseline, results, settings.run.name, expected_settings(settings)
    )


@contextmanager
def open_run(
    effective: Effective, observer: Observer, prompts: PromptSet | None = None
) -> Iterator[OpenRun]:
    """Load the target, make the run folder, and plan the turns, on ``prompts`` if given."""
    with (
        closing(open_target(effective.settings, observer.say)) as target,
        measure_open(effective, target, observer, prompts) as run,
    ):
        yield run


@contextmanager
def measure_open(
    effective: Effective, target: Target, observer: Observer, prompts: PromptSet | None = None
) -> Iterator[OpenRun]:
    """Make the run folder of a target that is open already, and plan its turns."""
    description = described(target, effective.settings)
    effective = named_by_servers(effective, description)
    settings = effective.settings
    recorded = recorded_settings(effective, description)
    errors = _instrument_errors(description, load_beside_clients(target), observer)
    instrument = max(errors, key=lambda error: error.p95_ms)
    environment = describe_environment() | {
        "instrument": instrument.as_dict(),
        "instruments": [error.as_dict() for error in errors],
        "target": description,
        "threads": threads(),
    }
    with (
        create_run_folder(
            Path(settings.run.results),
            settings.run.name,
            settings=recorded | {"origins": effective.origins},
            environment=environment,
            save_audio=settings.run.save_audio,
        ) as folder,
        MachineWatch() as machine,
    ):
        yield OpenRun(
            settings,
            target,
            recorded=recorded,
            folder=folder,
            environment=environment,
            instrument=instrument,
            prompts=prompts or _prompts(settings, _language(target)),
            observer=observer,
            machine=machine,
        )


def _instrument_errors(
    description: Mapping[str, object], load: Load | None, observer: Observer
) -> list[InstrumentError]:
    """Measure the instrument's own error, in process and over what the target is reached by.

    Over the wire it is measured beside the engine that computes here during a turn.
    """
    errors = [measure_in_process(QUICK_TURNS)]
    over = transports_of(description)
    if over:
        observer.say("measuring the instrument's own error over the wire")
        try:
            turns = QUICK_TURNS_OVER_THE_WIRE if load is None else QUICK_TURNS_BESIDE_AN_ENGINE
            errors += measure_used(over, turns, load)
        except CannotMeasure as error:
            observer.say(f"it could not be measured: {error}")
    return errors


class OpenRun:
    """A set-up that is being measured: its target, its folder, and its turns so far."""

    def __init__(
        self,
        settings: Settings,
        target: Target,
        *,
        recorded: Mapping[str, object],
        folder: RunFolder,
        environment: dict[str, object],
        instrument: InstrumentError,
        prompts: PromptSet,
        observer: Observer,
        machine: MachineWatch,
    ) -> None:
        self.settings = settings
        self.prompts = prompts
        self.planned = _plan(settings, prompts)
        self.turns: list[Timeline] = []
        self.interrupted = False
        self._runs = 0
        self._kept: list[tuple[int, Recording]] = []
        self._recorded = recorded
        self._target = target
        self._folder = folder
        self._environment = environment
        self._instrument = instrument
        self._observer = observer
        self._machine = machine

    def take_until(self, measured: int) -> None:
        """Take the planned turns until so many measured ones are done."""
        before = sum(turn.phase != "measured" for turn in self.planned)
        self.take(self.planned[len(self.turns) : before + measured])

    def take_idle(self) -> None:
        """Take the turns that each come after a silent gap, where they are asked for."""
        run = self.settings.run
        if run.idle_gap_s > 0:
            prompts = self.prompts.rotate(run.idle_turns)
            self.take(plan_idle_turns(prompts, first=len(self.turns) + 1))

    def take(self, planned: Sequence[PlannedTurn]) -> None:
        """Take these turns, each on disk before the next begins.

        An interrupt goes on to whoever called; the turn that it broke off is not kept.
        """
        recordings = take_turns(
            self._target,
            planned,
            rule=audible_rule(self.settings.audible),
            pause_s=self.settings.run.pause_s,
            idle_gap_s=self.settings.run.idle_gap_s,
            watch=self._observer.event,
            machine=self._machine,
            secrets=secrets_of(self.settings),
        )
        for recording in recordings:
            with uninterrupted():
                self._folder.append(recording)
                self.turns.append(recording.timeline)
                self._keep(recording)
            self._observer.turn_done(recording.timeline)

    def _keep(self, recording: Recording) -> None:
        """Keep the audio of the first measured turns, to be compared when the run is over."""
        turn = recording.timeline
        if turn.phase != "measured":
            return
        self._runs += 1
        wanted = self.settings.judge.streaming_turns
        if not turn.failed and len(self._kept) < wanted:
            self._kept.append((self._runs, recording))

    def is_decided(self) -> bool:
        """Whether no gate is undecided by the turns so far."""
        results = judge_gates(self.settings.model_dump(), summarize(self.turns))
        return all(result.verdict is not Verdict.UNDECIDED for result in results)

    def side(self) -> Side:
        """Return the run's side of a comparison."""
        return side_of(columns_of(self.turns), self._recorded, self._environment)

    def finish(self, baseline: RecordedColumns | None = None) -> Outcome:
        """Judge the turns, write the summary, and take the mark of an unfinished run away.

        Where that cannot be written the outcome says so: what was measured can still be shown.
        """
        summary = summarize(self.turns)
        judgement = self._judge(summary, baseline)
        settings, path = self.settings, self._folder.path
        planned = planned_turns(settings.model_dump())
        final = judgement.final(
            Taken(summary.turns, summary.failed, planned, complete=not self.interrupted)
        )
        earlier = previous_run(Path(settings.run.results), settings.run.name, path, self.side())
        run = {
            "name": settings.run.name,
            "folder": str(path),
            "started_at": self.turns[0].started_at if self.turns else None,
            "complete": not self.interrupted,
            "target": settings.run.target,
            "voicebench": self._environment["voicebench"],
            "instrument": self._instrument.as_dict(),
            "instruments": self._environment["instruments"],
        }
        document = summary_document(run, self.turns, summary, judgement.gates, final)
        document["judgement"] = judgement.as_dict(final)
        with uninterrupted():
            not_kept = self._folder.finish(document, complete=not self.interrupted)
        if not_kept is not None:
            final = final.but_not_kept(str(not_kept))
            document |= final.as_dict()
        return Outcome(
            folder=path,
            turns=tuple(self.turns),
            summary=summary,
            gate_results=judgement.gates,
            document=document,
            environment=self._environment,
            previous=summarize(earlier.turns) if earlier else None,
            instrument=self._instrument,
            interrupted=self.interrupted,
            judgement=judgement,
            final=final,
            not_kept=not_kept,
        )

    def _judge(self, summary: Summary, baseline: RecordedColumns | None) -> Judgement:
        settings = self.settings.model_dump()
        streaming = self._check_streaming()
        judgement = Judgement(
            gates=judge_gates(settings, summary),
            noise=tuple(find_noise(self.turns, self._instrument.p95_ms)),
            flags=(*flags_of(self.turns), *streaming.flags),
            streaming=streaming,
            allow_noise=self.settings.judge.allow_noise,
        )
        if baseline is None:
            return judgement
        before = side_of(baseline.columns, baseline.settings, baseline.environment)
        return judge_against(judgement, settings, self.side(), before, str(baseline.path))

    def _check_streaming(self) -> StreamingCheck:
        """Ask the voice again for what it streamed, unless the user has no more patience."""
        if not self.interrupted:
            try:
                return check_streaming(self._target, self._kept, self._target.describe())
            except KeyboardInterrupt:
                self.interrupted = True
        return StreamingCheck()


@contextmanager
def until_interrupted(*runs: OpenRun) -> Iterator[None]:
    """Let the block take turns; where the user interrupts it, all of ``runs`` are incomplete."""
    try:
        yield
    except KeyboardInterrupt:
        for run in runs:
            run.interrupted = True


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
    """Plan one cold turn, the warm-up turns and all measured ones that may be needed."""
    return plan_turns(
        prompts.rotate_warmup(settings.run.warmup + 1),
        prompts.rotate(look_counts(settings.model_dump())[-1]),
    )
