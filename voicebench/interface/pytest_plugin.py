"""A plugin for pytest: the gates of a run as assertions.

The fixture `voice_gates` measures, or takes a run, and fails the test unless every gate passes. The
failure text has each gate with its value, interval and number of turns. Nothing of voicebench is
imported before the fixture is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from os import PathLike
    from pathlib import Path

    from voicebench.interface.measured_run import Run
    from voicebench.targets import Target
    from voicebench.targets.own_pipeline import Answer


class VoiceGates(Protocol):
    """The type of the fixture `voice_gates`."""

    def __call__(
        self,
        what: Run | str | PathLike[str] | Mapping[str, object] | Target | Answer,
        gates: str | Sequence[str],
        /,
        settings: Mapping[str, object] | None = None,
        *,
        runs: int | None = None,
    ) -> Run:
        """Return the run, which has passed ``gates``; else the test fails.

        ``what`` is a run, or what `voicebench.measure` takes. Gates are judged by the interval of
        their figure: too few turns are UNDECIDED, and the test fails.
        """
        ...


@pytest.fixture
def voice_gates(tmp_path: Path) -> VoiceGates:
    """Measure, and assert that gates pass; see `VoiceGates`. Runs are kept in ``tmp_path``."""

    def assert_passed(
        what: Run | str | PathLike[str] | Mapping[str, object] | Target | Answer,
        gates: str | Sequence[str],
        /,
        settings: Mapping[str, object] | None = None,
        *,
        runs: int | None = None,
    ) -> Run:
        __tracebackhide__ = True
        from voicebench.errors import UsageError
        from voicebench.interface.measured_run import Run
        from voicebench.interface.measuring_calls import measure

        chosen = [gates] if isinstance(gates, str) else list(gates)
        run = what
        if isinstance(run, Run):
            if settings is not None or runs is not None:
                raise UsageError("settings and runs have no effect on a run", "take them out")
        else:
            results = tmp_path / "voicebench-results"
            run = measure(run, settings, runs=runs, gates=chosen, results=results)
        judgement = run.judge(chosen)
        if not judgement.passed:
            pytest.fail(f"voicebench: {judgement}\n  run folder: {run.path}", pytrace=False)
        return run

    return assert_passed
