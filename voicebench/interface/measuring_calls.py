"""Measure from Python: settings, a server, a simulated target, or a pipeline of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voicebench.audio.pcm import AudibleRule
from voicebench.events import Emit, Event
from voicebench.figures.metrics import compute
from voicebench.interface.measured_run import Run
from voicebench.judging.final import Word
from voicebench.measuring.plan import PlannedTurn
from voicebench.measuring.session import check_session, run_session
from voicebench.settings import Effective, load_settings
from voicebench.settings.origins import flattened
from voicebench.targets import Target
from voicebench.targets.kinds import fetch_models, settings_from_url
from voicebench.targets.own_pipeline import Answer, FunctionTarget, OwnKind, as_target, check_object
from voicebench.turn.recorder import Recorder
from voicebench.turn.timeline import Timeline

CALLER = "measure()"
"""Stands in messages where the command line would stand."""


@dataclass(frozen=True, eq=False)
class RecordedTurn:
    """One turn that `record` has timed."""

    timeline: Timeline
    """Every event with its moment."""
    pcm: NDArray[np.float32]
    """The audio, float32 mono in [-1, 1], shape ``(samples,)``."""

    @property
    def failed(self) -> bool:
        """Whether the turn ended without a usable answer."""
        return self.timeline.failed

    @property
    def metrics(self) -> Mapping[str, float]:
        """The turn's metrics, by the names in docs/explanation/metrics.md; none if it failed."""
        if self.failed:
            return {}
        return {name: value for name, value in compute(self.timeline).items() if value is not None}


def record(answer: Answer | Callable[[Emit], object], prompt: str | None = None) -> RecordedTurn:
    """Time one turn of a pipeline: call ``answer(emit)``, or ``answer(prompt, emit)``.

    Without a ``prompt`` the function takes ``emit`` alone. It emits each event of
    `voicebench.events` at its moment, from any thread, and returns when the turn is over. Nothing
    is written to disk. An exception of ``answer`` is raised again. Raises
    `voicebench.errors.IllegalEvent` if the events break a rule.
    """

    def called(text: str, emit: Emit) -> None:
        if prompt is None:
            answer(emit)  # type: ignore[call-arg,arg-type]
        else:
            answer(text, emit)  # type: ignore[call-arg,arg-type]

    target = FunctionTarget(called)
    recorder = Recorder()
    target.run(prompt or "", recorder.emit)
    if target.exception is not None:
        raise target.exception
    recording = recorder.seal(1, "measured", AudibleRule())
    return RecordedTurn(recording.timeline, recording.pcm)


def measure(
    what: str | PathLike[str] | Mapping[str, object] | Target | Answer,
    /,
    settings: Mapping[str, object] | None = None,
    *,
    runs: int | None = None,
    gates: Sequence[str] | None = None,
    results: str | PathLike[str] | None = None,
    say: Callable[[str], None] | None = None,
) -> Run:
    """Measure ``what``, write a run folder as ``voicebench run`` does, and read it back.

    ``what`` is the settings (a mapping, or the path of a ``.toml`` file), a target as ``--target``
    takes it (``sim:…``, ``cascade``), the URL of a server, an object with the methods of `Target`,
    or a function that takes a prompt and ``emit``. ``settings`` are further ones, by key
    (``{"run.warmup": 1}``) or by section. ``runs`` is the number of measured turns, ``gates``
    replaces the gates, ``results`` is the results folder. ``say`` gets lines of progress.

    Raises a `voicebench.errors.VoicebenchError` if nothing can be measured, also if every turn
    failed, and `KeyboardInterrupt` after an interrupt; the turns so far are kept. Raises
    `voicebench.errors.IllegalEvent` if the events of an own pipeline break a rule. The target is
    not closed if it was given as an object.
    """
    base, target = _understood(what)
    named: dict[str, object] = {"run.runs": runs, "gates": None if gates is None else list(gates)}
    named["run.results"] = None if results is None else str(results)
    given = {**dict(flattened(settings or {})), **_without_none(named)}
    effective = _effective(base, given)
    if target is not None:
        check_object(effective.settings)
    check_session(effective.settings, target)
    if target is None:
        fetch_models(effective.settings)
    recorded = run_session(effective, _Following(say), target)
    if isinstance(target, FunctionTarget):
        target.check_over()
    if recorded.final.word is Word.INTERRUPTED:
        raise KeyboardInterrupt(f"the finished turns are in {recorded.path}")
    try:
        recorded.require_measured()
    except Exception as error:
        raise error from (target.exception if isinstance(target, FunctionTarget) else None)
    return Run(recorded)


class _Following:
    """Passes on lines of progress; an `Observer`."""

    def __init__(self, say: Callable[[str], None] | None) -> None:
        self._say = say

    def say(self, line: str) -> None:
        if self._say is not None:
            self._say(line)

    def planned(self, turns: Sequence[PlannedTurn]) -> None:
        self.say(f"at most {len(turns)} turns")

    def event(self, at_ns: int, event: Event) -> None:
        pass

    def turn_done(self, turn: Timeline) -> None:
        self.say(f"turn {turn.turn} ({turn.phase}) {'failed' if turn.failed else 'is done'}")


def _understood(
    what: str | PathLike[str] | Mapping[str, object] | Target | Answer,
) -> tuple[Path | Mapping[str, object], Target | None]:
    """Return the settings that ``what`` stands for, and the target if it was given as an object."""
    if isinstance(what, Mapping):
        return what, None
    if isinstance(what, str) and not what.endswith(".toml"):
        return settings_from_url(what, CALLER) if "://" in what else {"run.target": what}, None
    if isinstance(what, str | PathLike):
        return Path(what), None
    target = as_target(what)
    name = target.name if isinstance(target, FunctionTarget) else type(target).__qualname__
    return {"run.target": f"{OwnKind.name}{name}"}, target


def _effective(base: Path | Mapping[str, object], given: Mapping[str, object]) -> Effective:
    if isinstance(base, Path):
        return load_settings(base, given, origin=CALLER)
    return load_settings(None, {**dict(flattened(base)), **given}, origin=CALLER)


def _without_none(values: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in values.items() if value is not None}
