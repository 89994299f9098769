"""One run, one word: whatever is told of it, and the exit code, say the same."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest
from ran_command import Command

from voicebench.judging.noise import Noise
from voicebench.measuring import open_run

pytestmark = pytest.mark.usefixtures("undrawn")

pytestmark = pytest.mark.usefixtures("scripted_time")

QUICK = "sim:ttft=5ms,token=1ms,ttfb=5ms,speed=100x,words=6"
LOUD = Noise("drift", "it drifts", "let it cool", invalidates=True)
GREEN, RED, PURPLE, GREY = "#1a7f37", "#cf222e", "#8250df", "#57606a"


@dataclass(frozen=True)
class Case:
    """A run, and what it has to be called."""

    word: str
    code: int
    badge: str
    page: str
    """The class of the badge on the page."""
    problems: bool
    """Whether a CI service has to see a problem."""
    more: Sequence[str] = ()
    target: str = QUICK
    noise: Sequence[Noise] = ()


CASES = {
    "all gates pass": Case("PASS", 0, GREEN, "good", problems=False),
    "a gate fails": Case("FAIL", 3, RED, "bad", True, ("--gate", "first_audio.p50 < 1ms")),
    "a gate was not measured": Case(
        "NOT MEASURED", 3, PURPLE, "unsure", True, ("--gate", "server.p50 < 1s")
    ),
    "undecided": Case(
        "UNDECIDED", 5, PURPLE, "unsure", True, ("--gate", "first_audio.p95 < 10s", "--decide")
    ),
    "a noisy machine, all gates pass": Case("INVALID", 5, RED, "bad", True, noise=[LOUD]),
    "a noisy machine, a gate fails": Case(
        "INVALID", 5, RED, "bad", True, ("--gate", "first_audio.p50 < 1ms"), noise=[LOUD]
    ),
    "a noisy machine, allowed": Case("PASS", 0, GREEN, "good", False, ("--allow-noise",),
                                     noise=[LOUD]),
    "every turn failed": Case("NOTHING MEASURED", 4, RED, "bad", True, target=f"{QUICK},fail=1"),
    "every turn failed and nobody judges": Case(
        "NOTHING MEASURED", 4, RED, "bad", True, ("--no-gate",), target=f"{QUICK},fail=1"
    ),
    "nobody judges": Case("NOT JUDGED", 0, GREY, "quiet", False, ("--no-gate",)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_every_document_and_the_exit_code_say_the_same_word(
    voicebench: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    case, results = CASES[name], tmp_path / "results"
    monkeypatch.setattr(open_run, "find_noise", lambda *_: list(case.noise))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "step.md"))
    junit = tmp_path / "junit.xml"
    ran = voicebench("run", "--quiet", "--target", case.target, "--results", str(results), "--runs",
                     "3", "--warmup", "0", "--junit", str(junit), *case.more)  # fmt: skip
    assert ran.code == case.code
    lines = ran.out.splitlines()
    assert words_in(lines[0]) == words_in(lines[-1]) == [case.word]
    (folder,) = results.iterdir()
    document = json.loads((folder / "summary.json").read_text())
    assert (document["verdict"], document["exit_code"]) == (case.word, case.code)
    assert document["judgement"]["verdict"] == case.word
    assert words_in((tmp_path / "step.md").read_text().splitlines()[2]) == [case.word]
    root = ElementTree.parse(junit).getroot()
    assert has_problems(root) == case.problems
    assert ("::error" in ran.err or "::warning" in ran.err) == case.problems

    told = voicebench("report", str(folder)).out
    assert words_in(told.splitlines()[0]) == [case.word]
    assert json.loads(voicebench("report", str(folder), "-f", "json").out)["results"][0][
        "verdict"
    ] == case.word  # fmt: skip
    page = voicebench("report", str(folder), "-f", "html").out
    (shown,) = re.findall(r'<span class="badge (\w+)">([^<]*)</span>', page)
    assert (shown[0], words_in(shown[1])) == (case.page, [case.word])
    badge = voicebench("report", str(folder), "-f", "badge").out
    assert re.findall(r'fill="(#\w+)"/></g>', badge) == [case.badge]
    assert case.word.lower() in badge.lower() or case.word == "NOT JUDGED"
    (row,) = csv.DictReader(io.StringIO(voicebench("history", "--csv", "--results", str(results))
                                        .out))  # fmt: skip
    assert row["verdict"] == case.word
    assert voicebench("verify", str(folder)).code == 0


WORDS = ("INTERRUPTED", "NOTHING MEASURED", "INVALID", "NOT JUDGED", "NOT MEASURED", "UNDECIDED",
         "CLOSE", "FAIL", "PASS")  # fmt: skip


def words_in(line: str) -> list[str]:
    return re.findall("|".join(WORDS), line)


def has_problems(root: ElementTree.Element) -> bool:
    return int(root.get("failures", "0")) + int(root.get("errors", "0")) > 0


def test_no_row_says_pass_in_a_run_that_failed(voicebench: Command, tmp_path: Path) -> None:
    ran = voicebench("run", "--quiet", "--target", QUICK, "--results", str(tmp_path), "--runs", "3",
                     "--warmup", "0", "--gate", "llm_total.mean < 1ms")  # fmt: skip
    assert ran.code == 3
    assert ran.out.count("first audio ✓") == 3
    assert "✓ pass" not in ran.out


def test_the_trend_counts_the_verdicts(voicebench: Command, tmp_path: Path) -> None:
    for gate in ("first_audio.p50 < 1s", "first_audio.p50 < 1ms"):
        voicebench("run", "--quiet", "--target", QUICK, "--results", str(tmp_path), "--runs", "2",
                   "--warmup", "0", "--gate", gate)  # fmt: skip
    told = voicebench("history", "--results", str(tmp_path)).out
    assert "verdicts: PASS 1, FAIL 1; the latest is FAIL" in told
