"""What `voicebench run` leaves for a CI job, however it ends."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from ran_command import Command

from voicebench.measuring import open_run

pytestmark = pytest.mark.usefixtures("scripted_time")

QUICK = "sim:ttft=5ms,token=1ms,ttfb=5ms,speed=100x,words=6"
OLD = "<testsuites tests='1' failures='0'/>"


class Job:
    """A CI job's folder, with the files that an earlier run left in it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.junit = folder / "voice.xml"
        self.result = folder / "voice.result"
        self.summary = folder / "summary.md"
        self.junit.write_text(OLD)
        self.result.write_text("results/yesterday")
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(self.summary))

    def arguments(self, *more: str, target: str = QUICK) -> list[str]:
        return [
            *("run", "--target", target, "--results", str(self.folder / "results")),
            *("--runs", "2", "--warmup", "0"),
            *("--junit", str(self.junit), "--result-file", str(self.result), *more),
        ]

    def problem(self) -> tuple[str, str]:
        """Return the word and the sentence of the JUnit file's one error."""
        suites = ElementTree.parse(self.junit).getroot()
        assert (suites.get("tests"), suites.get("errors")) == ("1", "1")
        error = suites.find("testsuite/testcase/error")
        assert error is not None
        return str(error.get("type")), str(error.get("message"))


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    return Job(tmp_path, monkeypatch)


def assert_told(job: Job, err: str, word: str, sentence: str) -> None:
    """Check that JUnit, annotation and summary tell one thing, and that no folder is named."""
    kind, message = job.problem()
    assert kind == word
    assert sentence in message
    annotation = next(line for line in err.splitlines() if line.startswith("::error"))
    assert annotation.startswith(f"::error title=voicebench%3A {word}::")
    assert word in job.summary.read_text(encoding="utf-8")
    assert not job.result.exists()


def test_a_target_that_is_down_leaves_its_reports(voicebench: Command, job: Job) -> None:
    ran = voicebench(*job.arguments("--server", "ws://127.0.0.1:9/v1/voice", target="voice"))
    assert ran.code == 4
    assert_told(job, ran.err, "NOTHING MEASURED", "127.0.0.1:9")


@pytest.mark.parametrize(
    "wrong",
    [
        ("--gate", "first_adio.p95 < 300ms"),
        ("--set", "run.rnus=3"),
        ("--baseline", "nowhere"),
        ("nowhere.toml",),
    ],
    ids=" ".join,
)
def test_a_mistake_leaves_its_reports(voicebench: Command, job: Job, wrong: tuple[str]) -> None:
    ran = voicebench(*job.arguments(*wrong))
    assert ran.code == 2
    sentence = ran.err.partition("voicebench: ")[2].splitlines()[0]
    assert_told(job, ran.err, "BAD USAGE", sentence[:40])


@pytest.mark.parametrize("form", ["--junit={}", "--junit {}"])
def test_an_option_that_there_is_not_leaves_its_reports(
    voicebench: Command, job: Job, form: str
) -> None:
    ran = voicebench("run", "--rnus", "3", *form.format(job.junit).split())
    assert ran.code == 2
    kind, message = job.problem()
    assert kind == "BAD USAGE"
    assert "the command line was not understood" in message
    assert "::error title=voicebench%3A BAD USAGE::" in ran.err


def test_a_mistake_of_another_command_touches_no_file(voicebench: Command, job: Job) -> None:
    ran = voicebench("report", "--junit", str(job.junit))
    assert ran.code == 2
    assert job.junit.read_text() == OLD
    assert "::error" not in ran.err


def test_a_defect_leaves_its_reports(
    voicebench: Command, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(open_run, "measure_in_process", broken)
    with pytest.raises(ZeroDivisionError):
        voicebench(*job.arguments())
    kind, message = job.problem()
    assert (kind, "a bug" in message) == ("DEFECT", True)


def test_an_interrupt_before_the_first_turn_leaves_its_reports(
    voicebench: Command, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(open_run, "measure_in_process", interrupted)
    ran = voicebench(*job.arguments())
    assert ran.code == 130
    assert job.problem()[0] == "INTERRUPTED"


def test_a_run_of_which_every_turn_failed_names_its_folder(voicebench: Command, job: Job) -> None:
    ran = voicebench(*job.arguments(target=f"{QUICK},fail=1"))
    assert ran.code == 4
    suites = ElementTree.parse(job.junit).getroot()
    assert int(suites.get("errors", 0)) + int(suites.get("failures", 0)) > 0
    assert Path(job.result.read_text().strip()).is_dir()


def test_the_path_of_the_run_folder_can_be_read(voicebench: Command, job: Job) -> None:
    ran = voicebench(*job.arguments())
    assert ran.code == 0
    folder = Path(job.result.read_text().removesuffix("\n"))
    assert (folder / "turns.jsonl").is_file()
    assert ElementTree.parse(job.junit).getroot().get("errors") == "0"


def test_two_options_may_not_name_one_file(voicebench: Command, job: Job) -> None:
    ran = voicebench(*job.arguments("--csv", str(job.junit)))
    assert ran.code == 2
    assert f"--csv and --junit both name {job.junit}" in ran.err
    assert job.junit.read_text() == OLD  # a file of two owners is left alone


def test_reports_that_cannot_be_written_hide_no_error(voicebench: Command, job: Job) -> None:
    ran = voicebench("run", "--target", "sim:nonsense", "--junit", str(job.folder))
    assert ran.code == 2
    assert "is a folder, not a file" in ran.err


def test_the_file_for_prometheus_is_the_newest_verdict_or_none(
    voicebench: Command, job: Job
) -> None:
    prom = job.folder / "voice.prom"
    assert voicebench(*job.arguments("--prom", str(prom))).code == 0
    assert "\nvoicebench_run_passed{" in prom.read_text()
    assert voicebench(*job.arguments("--prom", str(prom), target=f"{QUICK},fail=1")).code == 4
    assert 'verdict="NOTHING MEASURED"} 1\n' in prom.read_text()
    for wrong in (("--gate", "first_adio.p95 < 300ms"), ("--rnus", "3")):
        prom.write_text("voicebench_run_passed 1\n")
        assert voicebench(*job.arguments("--prom", str(prom), *wrong)).code == 2
        assert not prom.exists()
