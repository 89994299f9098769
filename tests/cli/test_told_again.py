"""`voicebench report RUN` prints, to the character, what `run` printed after its last turn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from ran_command import Command

from voicebench.events import Emit, TurnStarted
from voicebench.judging.noise import Noise
from voicebench.measuring import open_run
from voicebench.targets.simulated import Simulated

pytestmark = pytest.mark.usefixtures("scripted_time")

QUICK = "sim:ttft=5ms,token=1ms,ttfb=5ms,speed=100x,words=6"
STALLING = "sim:ttft=220ms,token=60ms,ttfb=170ms,speed=0.9x,silence=80ms"
NOISE = [
    Noise("drift", "it drifts", "let it cool", invalidates=True),
    Noise("outliers", "one is far off", "look at it"),
]

CASES: dict[str, Sequence[str]] = {
    "all gates pass": ("--target", QUICK),
    "gates fail, with advice": ("--target", STALLING),
    "turns fail": ("--target", f"{QUICK},fail=2"),
    "every turn fails": ("--target", f"{QUICK},fail=1"),
    "nobody judges": ("--target", QUICK, "--no-gate"),
    "undecided": ("--target", QUICK, "--gate", "first_audio.p95 < 10s", "--decide"),
    "sampled on": ("--target", QUICK, "--until-decided", "--max-runs", "12"),
    "a silence before idle turns": ("--target", QUICK, "--idle-gap", "1ms"),
    "a gate that is not measured": ("--target", QUICK, "--gate", "server.p50 < 1s"),
    "a baseline": ("--target", QUICK, "--baseline", "latest"),
    "a baseline, slower": (
        "--target",
        STALLING,
        "--baseline",
        "{results}/20200101T000000Z-default",
    ),
}


def folders(results: Path) -> list[Path]:
    return sorted(results.iterdir())


def told_again(voicebench: Command, results: Path, *more: str) -> tuple[list[str], list[str]]:
    """Return what a run told, and what its report told, each as stdout and stderr."""
    ran = voicebench("run", "--results", str(results), "--runs", "6", "--warmup", "1", *more)
    ran_err = [line for line in ran.err.splitlines(keepends=True) if is_of_the_result(line)]
    told = voicebench("report", str(folders(results)[-1]))
    assert told.code == 0
    return [ran.out, "".join(ran_err)], [told.out, told.err]


def is_of_the_result(line: str) -> bool:
    """Leave out the progress while the turns were taken, and the sentence of an exit code."""
    return not line.startswith(("run ", "cold:", "warm-up:", "idle:", "voicebench: "))


@pytest.fixture
def earlier(voicebench: Command, tmp_path: Path) -> Path:
    """Results with a run in them that began long ago."""
    for target in (QUICK, STALLING):
        voicebench("run", "--quiet", "--results", str(tmp_path), "--runs", "6", "--warmup", "1",
                   "--target", target)  # fmt: skip
        (made,) = [folder for folder in tmp_path.iterdir() if not folder.name.startswith("2020")]
        stamp = "20200101" if target == QUICK else "20200102"
        made.rename(made.with_name(f"{stamp}T000000Z-default"))
    return tmp_path


@pytest.mark.parametrize("width", ["60", "120"])
@pytest.mark.parametrize("name", CASES)
def test_a_run_is_told_again_as_it_was(
    voicebench: Command,
    monkeypatch: pytest.MonkeyPatch,
    earlier: Path,
    name: str,
    width: str,
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    more = [argument.replace("{results}", str(earlier)) for argument in CASES[name]]
    ran, told = told_again(voicebench, earlier, *more)
    assert told == ran
    assert "run" in told[0]  # the table of runs


def test_the_run_before_is_told_again_even_where_it_is_gone(
    voicebench: Command, earlier: Path
) -> None:
    ran, told = told_again(voicebench, earlier, "--target", QUICK)
    assert "maintained" in ran[0]
    assert told == ran
    for folder in folders(earlier)[:-1]:
        folder.rename(earlier.parent / folder.name)
    again = voicebench("report", str(folders(earlier)[-1]))
    assert [again.out, again.err] == ran


def test_an_invalid_run_is_told_again_as_it_was(
    voicebench: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(open_run, "find_noise", lambda *_: NOISE)
    ran, told = told_again(voicebench, tmp_path, "--target", QUICK)
    assert "it drifts; let it cool" in ran[0]
    assert told == ran


def test_an_interrupted_run_is_told_again_as_it_was(
    voicebench: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plain, taken = Simulated.run, 0

    def run(self: Simulated, prompt: str, emit: Emit) -> None:
        nonlocal taken
        taken += prompt != "selftest"
        if taken == 5 and prompt != "selftest":
            emit(TurnStarted(prompt))
            raise KeyboardInterrupt
        plain(self, prompt, emit)

    monkeypatch.setattr(Simulated, "run", run)
    ran, told = told_again(voicebench, tmp_path, "--target", STALLING)
    assert "interrupted after 2 of 6 turns" in ran[0]
    assert told == ran
