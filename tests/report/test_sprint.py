"""The sprint report: the reference's tables to the digit, and every rule behind a status."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from golden_files import assert_golden
from handmade import failed_turn, make_turn, sprint_turns
from outcomes import simulated_turns
from recorded_folders import write_result

from voicebench.errors import ResultsError, UsageError
from voicebench.report.recorded import WHOLE_TURN, Recorded, read_recorded
from voicebench.report.sprint import measured
from voicebench.report.sprint.analysis import analyse
from voicebench.report.sprint.commits import FileChange, Work, work_since
from voicebench.report.sprint.imported import read_import
from voicebench.report.sprint.page import conclusion_lines, sprint_page
from voicebench.report.sprint.readings import Reading, status
from voicebench.report.sprint.score import parse_scores, score_card
from voicebench.report.sprint.sprint import (
    ASPECTS,
    Score,
    Setup,
    Sprint,
    previous_sprint,
    read_sprint,
    to_json,
)
from voicebench.report.sprint.words import EN, FR, Words
from voicebench.settings import DEFAULT_GATES
from voicebench.targets import opening

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden" / "sprint"
IMPORTS = ROOT / "docs" / "sprints"


def imported(number: int) -> Sprint:
    found = read_import(IMPORTS / f"sprint-{number:03d}.toml")
    return Sprint(
        number=number,
        started_at=found.started_at,
        commit=None,
        commits=found.commits,
        files=found.files,
        readings=found.readings,
        tables=found.tables,
        lengths=found.lengths,
        scores=found.scores,
        setup=found.setup,
        score_total=found.score_total,
    )


def of_runs(
    runs: list[Recorded], number: int = 47, by_hand: dict[str, float] | None = None
) -> Sprint:
    readings = [*measured.readings_of(runs), measured.tests_reading(10, 10)]
    return Sprint(
        number=number,
        started_at="2026-01-05",
        commit=None,
        commits=(),
        files=(FileChange("a|b.py", 3, 1), FileChange("picture.png", None, None)),
        readings=tuple(readings),
        tables=tuple(measured.run_tables(runs)),
        lengths=tuple(measured.text_lengths(runs)),
        scores=score_card(runs, readings, by_hand or {}),
        setup=measured.setup_of(runs[0]),
        results=tuple(run.path.name for run in runs),
    )


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    return read_recorded(write_result(tmp_path, sprint_turns()))


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_the_reference_sprint_is_what_was_last_read(lang: str) -> None:
    page = sprint_page(imported(46), imported(45), lang)
    assert_golden(GOLDEN / f"sprint-046-{lang}.md", page)


def test_a_measured_sprint_is_what_was_last_read(recorded: Recorded) -> None:
    sprint = of_runs([recorded], by_hand={"humanity": 6})
    assert_golden(GOLDEN / "measured.md", sprint_page(sprint, imported(46)))
    assert_golden(GOLDEN / "measured.json", to_json(sprint, imported(46)))


@pytest.mark.parametrize(
    "line",
    [
        "| E2E latency (mean) | 177 ms | 177 ms | < 200 ms | maintained |",
        "| TTS TTFB (streaming) | – | 70–120 ms | < 100 ms | close |",
        "| E2E first audio | – | 252–361 ms | < 300 ms | 3/8 pass |",
        "| Tests | 201/201 | 202/202 | pass | improved |",
        "| WebSocket | ok | ok | ok | maintained |",
        "**Success rate:** 3/8 under 300 ms (37.5 %)  ",
        "**Best run:** 252 ms (run 3)",
        "| 3 | 190 ms | 62 ms | 252 ms | ✓ pass |",
        "| 8 | 239 ms | 122 ms | 361 ms | ✗ fail |",
        "| 78 | 1 | 72 ms | 375 ms |",
        "| Total | 40/50 (80 %) | +1 | sprint 45: 39/50 (78 %) |",
        "The total is given as 40; the aspects add up to 41.",
    ],
)
def test_the_reference_tables_are_reproduced_to_the_digit(line: str) -> None:
    assert line in sprint_page(imported(46), imported(45)).splitlines()


def test_the_conclusion_of_the_reference() -> None:
    assert conclusion_lines(imported(46), imported(45)) == [
        "Sprint 46",
        "Score 40/50 (80 %); sprint 45: 39/50 (78 %)",
        "First audio: 3/8 under 300 ms (37.5 %), best 252 ms (run 3)",
        "Targets met: 3/5",
        "Tests: 202/202",
    ]


def test_the_box_is_closed_on_every_side() -> None:
    page = sprint_page(imported(46), imported(45), "fr")
    box = page[page.index("```text") :].splitlines()[1:-1]
    assert len({len(line) for line in box}) == 1
    assert box[0][0] + box[0][-1] + box[-1][0] + box[-1][-1] == "┌┐└┘"


def reading(value: float | None, **more: object) -> Reading:
    return Reading("first_audio.p95", "ms", value, limit=300.0, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        (reading(None), reading(100), "not measured"),
        (reading(250), None, "met"),
        (reading(250), reading(None), "met"),
        (reading(250), reading(250), "maintained"),
        (reading(275), reading(250), "maintained"),
        (reading(276), reading(250), "regressed"),
        (reading(225), reading(250), "maintained"),
        (reading(224), reading(250), "improved"),
        (reading(300, kept=3, of=8), None, "close"),
        (reading(360, kept=3, of=8), None, "close"),
        (reading(361, kept=3, of=8), reading(500), "partly"),
        (reading(361, kept=0, of=8), None, "missed"),
        (reading(361), None, "missed"),
        (measured.tests_reading(5, 5), measured.tests_reading(5, 5), "maintained"),
        (measured.tests_reading(6, 6), measured.tests_reading(5, 5), "improved"),
        (measured.tests_reading(4, 4), measured.tests_reading(5, 5), "regressed"),
        (measured.tests_reading(4, 5), measured.tests_reading(5, 5), "partly"),
        (Reading("websocket", "bool", 0.0), Reading("websocket", "bool", 1.0), "missed"),
        (Reading("websocket", "bool", 1.0), Reading("websocket", "bool", 0.0), "improved"),
        (Reading("errors.rate", "share", 0.1, limit=0.0, operator="<="), None, "missed"),
        (
            Reading("synth_speed_x.min", "x", 4.0, limit=2.0, operator=">"),
            Reading("synth_speed_x.min", "x", 3.0, limit=2.0, operator=">"),
            "improved",
        ),
    ],
)
def test_a_status_follows_from_the_figures(
    now: Reading, before: Reading | None, expected: str
) -> None:
    assert status(now, before) == expected


def test_every_sentence_carries_a_figure(recorded: Recorded) -> None:
    for sprint, before in ((imported(46), imported(45)), (of_runs([recorded]), imported(46))):
        found = analyse(sprint, before, Words("en"))
        sentences = [*found.well, *found.improve, *found.to_try]
        assert len(sentences) >= 8
        assert all(re.search(r"\d", sentence) for sentence in sentences)


def test_the_reference_comes_to_its_own_list_of_what_to_try() -> None:
    found = "\n".join(analyse(imported(46), imported(45), Words("en")).to_try)
    assert "Begin with a first chunk of 2 instead of 3 words" in found
    assert "Warm up more: run 1 is still 12.3 % slower" in found
    assert "Take a smaller voice for the first chunk: its first byte takes up to 120 ms" in found


def test_nothing_is_said_that_the_figures_do_not_show() -> None:
    empty = replace(imported(45), readings=(), scores=(), score_total=None)
    found = analyse(empty, None, Words("en"))
    assert (found.well, found.improve, found.to_try) == ((), (), ())


def test_both_languages_have_the_same_words_with_the_same_figures() -> None:
    places = re.compile(r"{(\w+)}")
    assert EN.keys() == FR.keys()
    for key in EN:
        assert sorted(places.findall(EN[key])) == sorted(places.findall(FR[key])) or (
            set(places.findall(EN[key])) >= set(places.findall(FR[key]))
        ), key


def test_scores_are_computed_by_their_formulas(tmp_path: Path) -> None:
    script = "sim:ttft=400ms,token=8ms,ttfb=70ms,speed=4x,silence=30ms,words=12"
    turns = [*simulated_turns(script, ["measured"] * 3), failed_turn(4)]
    run = read_recorded(write_result(tmp_path, turns))
    card = {score.aspect: score for score in score_card([run], measured.readings_of([run]), {})}
    assert card["quality"].points == 7.5
    # llm_total 488 of 200 gives 0, tts_ttfb 70 of 100 gives 10, first_audio 494 of 300 gives 3.5.
    assert card["latency"].points == pytest.approx((0 + 10 + 10 * (2 - 494 / 300)) / 3, abs=0.05)
    # No turn of the three stalls, and all three finish their reply before they speak.
    assert card["streaming"].points == pytest.approx(10 * (0.75 + 0.0) / 2, abs=0.05)
    assert card["humanity"].points == pytest.approx(10 * (1200 - 524) / 1000 * 0.75, abs=0.05)
    assert card["connectivity"].points is None


def test_connectivity_counts_what_was_lost_on_the_wire(tmp_path: Path) -> None:
    lost = replace(failed_turn(2), failure=replace(failed_turn().failure, stage="transport"))  # type: ignore[type-var]
    folder = write_result(tmp_path, [make_turn(1), lost, failed_turn(3), make_turn(4)])
    settings = json.loads((folder / "settings.json").read_text())
    settings["run"]["target"] = "voice"
    (folder / "settings.json").write_text(json.dumps(settings))
    run = read_recorded(folder)
    readings = measured.readings_of([run])
    (score,) = [one for one in score_card([run], readings, {}) if one.aspect == "connectivity"]
    assert (score.points, score.why) == (7.5, "3/4")
    assert readings[-1] == Reading("websocket", "bool", 0.0, kept=2, of=4)


@pytest.mark.parametrize(
    ("changes", "over_a_wire", "over_a_socket"),
    [
        ({"run.target": "cascade"}, False, False),
        ({"run.target": "sim:"}, False, False),
        ({"run.target": "voice"}, True, True),
        ({"run.target": "realtime"}, True, True),
        ({"llm.url": "http://host/v1"}, True, False),
        ({"tts.url": "http://host/v1", "tts.api": "openai"}, True, False),
        ({"tts.url": "wss://host/v1", "tts.api": "socket"}, True, True),
        ({"tts.url": None, "tts.api": "socket"}, False, False),
        ({"run.target": "sim:", "tts.url": "http://host"}, False, False),
    ],
)
def test_what_ran_over_a_connection_is_seen_in_its_settings(
    tmp_path: Path, changes: dict[str, object], over_a_wire: bool, over_a_socket: bool
) -> None:
    folder = write_result(tmp_path, [make_turn(1)])
    settings = json.loads((folder / "settings.json").read_text())
    for key, value in changes.items():
        section, _, name = key.partition(".")
        settings.setdefault(section, {})[name] = value
    (folder / "settings.json").write_text(json.dumps(settings))
    run = read_recorded(folder)
    assert (run.is_over_a_wire, run.is_over_a_socket) == (over_a_wire, over_a_socket)
    found = [reading.name for reading in measured.readings_of([run])]
    assert ("websocket" in found) is over_a_socket


def test_the_targets_that_are_one_socket_are_those_that_can_be_set() -> None:
    assert WHOLE_TURN == opening.WHOLE_TURN


def test_what_a_person_entered_is_marked(recorded: Recorded) -> None:
    page = sprint_page(of_runs([recorded], by_hand={"humanity": 6}), None)
    assert "| Humanity | 6/10 | – | entered by hand |" in page
    assert "| Connectivity | – | – | not measured |" in page


@pytest.mark.parametrize("text", ["humanity", "humanity=11", "humanity=-1", "charm=3", "quality=x"])
def test_a_score_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no aspect with 0 to 10 points"):
        parse_scores([text])


def test_a_sprint_reads_back_as_it_was_written(tmp_path: Path, recorded: Recorded) -> None:
    for sprint in (imported(45), imported(46), of_runs([recorded])):
        path = tmp_path / f"sprint-{sprint.number:03d}.json"
        path.write_text(to_json(sprint, None), encoding="utf-8")
        assert read_sprint(path) == sprint
    found = previous_sprint(tmp_path, 47)
    assert found is not None
    assert found.number == 46
    assert previous_sprint(tmp_path, 45) is None


@pytest.mark.parametrize("content", ["", "[]", '{"schema": 9}', '{"schema": 1}', "\xff"])
def test_a_foreign_sprint_file_is_said_in_a_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "sprint-001.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(ResultsError, match=r"sprint-001\.json"):
        read_sprint(path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("figure = 1", "unknown key 'figure'"),
        ("[figures]\nlatency = 1", "unknown key 'figures.latency'"),
        ("figures = 1", "figures is no section"),
        ("runs = 3", "no list of tables"),
        ("[figures]\ntts_ttfb_ms = 'fast'", "'fast' is no number"),
        ("[figures]\ntests = 'many'", "none of its kind"),
        ("[[runs]]\nfirst_audio_ms = true", "True is no number"),
        ("[[commits]]\nhash = 'a'", "subject"),
        ("[", "not valid TOML"),
    ],
)
def test_an_import_that_is_none_is_said_in_a_sentence(
    tmp_path: Path, content: str, sentence: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(content)
    with pytest.raises(UsageError, match=sentence):
        read_import(path)


JUNIT = (
    '<testsuites><testsuite><testcase name="a"/><testcase name="b"><failure/></testcase>'
    '<testcase name="c"><skipped/></testcase><testcase name="d"><error/></testcase>'
    "</testsuite></testsuites>"
)


def test_tests_come_from_a_junit_file_without_the_skipped_ones(tmp_path: Path) -> None:
    path = tmp_path / "tests.xml"
    path.write_text(JUNIT)
    assert measured.read_junit(path) == measured.tests_reading(1, 3)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("hello", "is no XML"),
        ("<a/>", "holds no test case"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><a/>', "declares entities"),
    ],
)
def test_what_is_no_junit_is_said(tmp_path: Path, content: str, sentence: str) -> None:
    path = tmp_path / "tests.xml"
    path.write_text(content)
    with pytest.raises(UsageError, match=sentence):
        measured.read_junit(path)


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


def test_front_matter_is_yaml_whatever_a_result_is_called() -> None:
    yaml = pytest.importorskip("yaml")
    sprint = replace(imported(46), results=('a"b: c\n- d',), started_at="2026-01-05")
    front = yaml.safe_load(sprint_page(sprint, None).split("---\n")[1])
    assert front == {
        "sprint": 46,
        "started": "2026-01-05",
        "status": "3 of 5 targets met",
        "commits": 0,
        "range": None,
        "results": ['a"b: c - d'],
    }


def test_every_aspect_and_every_default_gate_has_a_name_in_both_languages() -> None:
    for lang in ("en", "fr"):
        words = Words(lang)  # type: ignore[arg-type]
        for aspect in ASPECTS:
            assert words(aspect)
        for gate in DEFAULT_GATES:
            metric = gate.partition(".")[0]
            assert words.label(metric, "?") != "?"


def test_the_points_that_could_be_had_are_those_of_the_aspects_that_were_measured() -> None:
    scores = (Score("quality", 9.5), Score("latency", 8.0), Score("humanity", None))
    sprint = replace(imported(45), scores=scores, score_total=None, setup=Setup())
    assert (sprint.total, sprint.possible) == (17.5, 20)
    assert "| Total | 17.5/20 (87.5 %) | – |" in sprint_page(sprint, None)
