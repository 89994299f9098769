"""The sprint's page: the reference's two sprints to the digit, and one that was measured."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from golden_files import assert_golden
from handmade import sprint_turns
from made_sprints import imported, of_runs, recorded

from voicebench.errors import ResultsError
from voicebench.results.run import RecordedRun
from voicebench.sprints.analysis import analyse
from voicebench.sprints.first_lines import conclusion_lines
from voicebench.sprints.sprint import Change, Lang, Score, Setup, Text
from voicebench.sprints.sprint_page import sprint_page
from voicebench.sprints.stored import previous_sprint, read_sprint, to_json
from voicebench.sprints.words import Words

GOLDEN = Path(__file__).parent / "golden" / "sprint"


@pytest.fixture
def run(tmp_path: Path) -> RecordedRun:
    return recorded(tmp_path, sprint_turns())


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_the_reference_sprints_are_what_was_last_read(lang: Lang) -> None:
    assert_golden(GOLDEN / f"sprint-045-{lang}.md", sprint_page(imported(45), None, lang))
    assert_golden(GOLDEN / f"sprint-046-{lang}.md", sprint_page(imported(46), imported(45), lang))


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_a_measured_sprint_is_what_was_last_read(run: RecordedRun, lang: Lang) -> None:
    sprint = of_runs([run], by_hand={"humanity": 6})
    assert_golden(GOLDEN / f"measured-{lang}.md", sprint_page(sprint, imported(46), lang))
    assert_golden(GOLDEN / "measured.json", to_json(sprint, imported(46)))


@pytest.mark.parametrize(
    "line",
    [
        'title: "TTS streaming"',
        'started: "2026-01-21T05:14:00Z"',
        'commit: "3e2362a"',
        "# Sprint 46: TTS streaming",
        "Started: 2026-01-21T05:14:00Z, commit `3e2362a`",
        "| E2E latency (mean) | 177 ms | 177 ms | < 200 ms | ✓ maintained |",
        "| TTS TTFB (streaming) | – | 70–120 ms | < 100 ms | ≈ close |",
        "| E2E first audio | – | 252–361 ms | < 300 ms | ◐ 3/8 pass |",
        "| Tests | 201/201 | 202/202 | pass | ✓ improved |",
        "| WebSocket | ok | ok | ok | ✓ maintained |",
        "### The voice streams",
        "first_words = 3",
        "later_words = 8",
        "| Oh boy, test… | 71 ms |",
        "| Je suis vraiment… | 76 ms |",
        "| Test unique… (cold) | 116 ms |",
        "| 65 | 117 ms | 193 ms |",
        "| 78 | 72 ms | 375 ms |",
        "| 72 | 77 ms | 229 ms |",
        "**Success rate:** 3/8 under 300 ms (37.5 %)  ",
        "**Best run:** 252 ms (run 3)",
        "| 3 | 190 ms | 62 ms | 252 ms | ✓ pass |",
        "| 8 | 239 ms | 122 ms | 361 ms | ✗ fail |",
        "202/202 tests pass (100 %). 1 skipped, 5 warnings, 18.76 s.",
        "| Quality | 10/10 | 10/10 | = | entered by hand |",
        "| Latency | 8/10 | 8/10 | = | entered by hand |",
        "| Streaming | 7/10 | 8/10 | +1 | entered by hand |",
        "| Humanity | 5/10 | 6/10 | +1 | entered by hand |",
        "| Connectivity | 9/10 | 9/10 | = | entered by hand |",
        "| Total | 39/50 (78 %) | 40/50 (80 %) | +1 |  |",
        "The total of sprint 46 is given as 40; its aspects add up to 41.",
        "- A first chunk of 2 words.",
        r"| backend/streaming\_tts.py | +49 | – | the new chunking |",
        "*Sprint 46: the voice streams from the GPU in short chunks, its first byte comes after 62 "
        "to 122 ms, and 202 tests pass.*",
    ],
)
def test_the_reference_is_reproduced_to_the_digit(line: str) -> None:
    assert line in sprint_page(imported(46), imported(45)).splitlines()


def test_the_conclusion_of_the_reference() -> None:
    assert conclusion_lines(imported(46), imported(45)) == [
        "Sprint 46: TTS streaming",
        "Score 40/50 (80 %); sprint 45: 39/50 (78 %)",
        "First audio: 3/8 under 300 ms (37.5 %), best 252 ms (run 3)",
        "Targets met: 3/5",
        "Tests: 202/202",
    ]


def test_a_target_that_was_not_reported_is_not_met() -> None:
    page = sprint_page(imported(45), None)
    assert 'status: "3 of 5 targets met"' in page
    assert "| E2E first audio | – | < 300 ms | ? not measured |" in page


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_the_box_is_closed_on_every_side(lang: Lang) -> None:
    page = sprint_page(imported(46), imported(45), lang)
    box = page[page.index("```text") :].partition("\n```\n")[0].splitlines()[1:]
    assert len({len(line) for line in box}) == 1
    assert box[0][0] + box[0][-1] + box[-1][0] + box[-1][-1] == "┌┐└┘"


def test_every_sentence_carries_a_figure(run: RecordedRun) -> None:
    for sprint, before in ((imported(46), imported(45)), (of_runs([run]), imported(46))):
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
    page = sprint_page(empty, None)
    assert 'status: "no figure to judge"' in page
    assert "all 0 targets met" not in page


def test_what_a_person_entered_is_marked(run: RecordedRun) -> None:
    page = sprint_page(of_runs([run], by_hand={"humanity": 6}), None)
    assert "| Humanity | 6/10 | entered by hand |" in page
    assert "| Connectivity | – | not measured |" in page


def test_a_sprint_reads_back_as_it_was_written(tmp_path: Path, run: RecordedRun) -> None:
    for sprint in (imported(45), imported(46), of_runs([run])):
        path = tmp_path / f"sprint-{sprint.number:03d}.json"
        path.write_text(to_json(sprint, None), encoding="utf-8")
        assert read_sprint(path) == sprint
    found = previous_sprint(tmp_path, 47)
    assert found is not None
    assert found.number == 46
    assert previous_sprint(tmp_path, 45) is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"schema": 9}',
        '{"schema": 1}',
        '{"schema": 2}',
        "\xff",
        '{"schema": 2, "number": "forty"}',
    ],
)
def test_a_foreign_sprint_file_is_said_in_a_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "sprint-001.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(ResultsError, match=r"sprint-001\.json"):
        read_sprint(path)


@pytest.mark.parametrize(
    ("was", "edited"),
    [
        ('"value": 177.0', '"value": NaN'),
        ('"value": 177.0', '"value": 1e999'),
        ('"value": 177.0', '"value": {}'),
        ('"of": 202', '"of": "many"'),
    ],
)
def test_a_sprint_file_that_was_edited_wrongly_is_said_in_a_sentence(
    tmp_path: Path, was: str, edited: str
) -> None:
    text = to_json(imported(46), None)
    path = tmp_path / "sprint-046.json"
    path.write_text(text.replace(was, edited), encoding="utf-8")
    assert was in text
    with pytest.raises(ResultsError, match=r"sprint-046\.json (is not a sprint|cannot be read)"):
        read_sprint(path)


def test_front_matter_is_yaml_whatever_a_result_is_called() -> None:
    yaml = pytest.importorskip("yaml")
    sprint = replace(imported(46), results=('a"b: c\n- d',), started_at="2026-01-05")
    front = yaml.safe_load(sprint_page(sprint, None).split("---\n")[1])
    assert front == {
        "sprint": 46,
        "title": "TTS streaming",
        "started": "2026-01-05",
        "status": "3 of 5 targets met",
        "commit": "3e2362a",
        "commits": 0,
        "range": None,
        "results": ['a"b: c - d'],
    }


def test_the_points_that_could_be_had_are_those_of_the_aspects_that_were_measured() -> None:
    scores = (Score("quality", 9.5), Score("latency", 8.0), Score("humanity", None))
    sprint = replace(imported(45), scores=scores, score_total=None, setup=Setup())
    assert (sprint.total, sprint.possible) == (17.5, 20)
    assert "| Total | 17.5/20 (87.5 %) |  |" in sprint_page(sprint, None)


def test_code_cannot_leave_its_block_nor_command_a_terminal() -> None:
    shown = "before\n```\n# not a heading\n\tx = '\x1b[31m'\n"
    change = Change(Text("It [links](x)", "…"), code=shown, language="sh")
    page = sprint_page(replace(imported(46), changes=(change,)), None)
    assert "````sh\nbefore\n```\n# not a heading\n    x = '�[31m'\n````\n" in page
    assert "\x1b" not in page
    assert r"### It \[links\](x)" in page
