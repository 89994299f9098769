"""The work of a sprint: its commits and files as git tells them, its tests as JUnit does."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from made_sprints import imported

from voicebench.errors import UsageError
from voicebench.sprints.commits import Work, work_since
from voicebench.sprints.readings import suite_reading
from voicebench.sprints.sprint import FileChange, Suite
from voicebench.sprints.sprint_page import sprint_page
from voicebench.sprints.test_report import read_junit

JUNIT = (
    '<testsuites><testsuite><testcase name="a"/><testcase name="b"><failure/></testcase>'
    '<testcase name="c"><skipped/></testcase><testcase name="d"><error/></testcase>'
    "</testsuite></testsuites>"
)


def test_tests_come_from_a_junit_file_without_the_skipped_ones(tmp_path: Path) -> None:
    path = tmp_path / "tests.xml"
    path.write_text(JUNIT)
    assert read_junit(path) == (suite_reading(1, 3), Suite(skipped=1))


ONE_SECOND = "<testsuite time='1'><testcase/></testsuite>"


@pytest.mark.parametrize(
    ("content", "seconds"),
    [
        ("<testsuites time='3.5'><testsuite time='1'><testcase/></testsuite></testsuites>", 3.5),
        (f"<testsuites>{ONE_SECOND}{ONE_SECOND}</testsuites>", 2),
        ("<testsuite time='2'><testcase time='1'/></testsuite>", 2),
        ("<testsuite time='long'><testcase/></testsuite>", None),
        ("<testsuite time='nan'><testcase/></testsuite>", None),
        ("<testsuite time='-1'><testcase/></testsuite>", None),
        ("<testsuite><testcase time='1'/></testsuite>", None),
    ],
)
def test_what_the_tests_took_is_what_the_outermost_suites_say(
    tmp_path: Path, content: str, seconds: float | None
) -> None:
    path = tmp_path / "tests.xml"
    path.write_text(content)
    assert read_junit(path)[1].seconds == seconds


def test_a_suite_of_skipped_tests_passes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "tests.xml"
    path.write_text("<testsuite><testcase><skipped/></testcase></testsuite>")
    tests, suite = read_junit(path)
    assert tests.is_met() is None
    page = sprint_page(replace(imported(45), readings=(tests,), suite=suite), None)
    assert "All 0 tests pass" not in page
    assert "| Tests | – | pass | ? not measured |" in page


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("hello", "is not XML"),
        ("<a/>", "has no test case"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><a/>', "declares entities"),
    ],
)
def test_what_is_no_junit_is_said(tmp_path: Path, content: str, sentence: str) -> None:
    path = tmp_path / "tests.xml"
    path.write_text(content)
    with pytest.raises(UsageError, match=sentence):
        read_junit(path)


@pytest.fixture
def repository(tmp_path: Path) -> Callable[..., str]:
    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=T", "-c", "user.email=t@example.org")
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    for number, subject in enumerate(("Begin", "Speak | sooner", "Speak smoothly")):
        (tmp_path / "é.txt").write_text("line\n" * (number + 1))
        (tmp_path / "noise.bin").write_bytes(bytes([0, number]))
        git("add", "-A")
        git("commit", "-q", "-m", subject)
    return git


def test_the_commits_since_the_last_sprint_and_their_files(
    tmp_path: Path, repository: Callable[..., str]
) -> None:
    first = repository("rev-parse", "HEAD~2")
    work = work_since(tmp_path, first)
    assert work.head == repository("rev-parse", "HEAD")
    assert [commit.subject for commit in work.commits] == ["Speak smoothly", "Speak | sooner"]
    assert work.files == (FileChange("noise.bin", None, None), FileChange("é.txt", 2, 0))
    assert len(work_since(tmp_path, None).commits) == 3


@pytest.mark.parametrize("since", ["no-such-commit", "--output=x", "HEAD; ls"])
def test_a_commit_that_is_none_is_refused(
    tmp_path: Path, repository: Callable[..., str], since: str
) -> None:
    with pytest.raises(UsageError, match="has no commit"):
        work_since(tmp_path, since)


def test_without_a_repository_no_commit_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert work_since(tmp_path, None) == Work()
    page = sprint_page(imported(45), None)
    assert "No commit is known." in page
    assert "No change of a file is known." in page
