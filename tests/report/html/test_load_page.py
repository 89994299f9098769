"""The page of runs under load: what it says, that it is self-contained, and how it fits a phone."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from chromium import launched, needs_chromium
from golden_files import assert_golden
from load_folders import edit_level, written_capacity, written_load

from voicebench.load.recorded.load_run import LoadRun, read_load_run
from voicebench.report.html.charts import Spec
from voicebench.report.html.level_charts import MOST_SECONDS, level_charts
from voicebench.report.html.load_answers import load_answers
from voicebench.report.html.load_charts import capacity_charts
from voicebench.report.html.load_page import load_html
from voicebench.report.html.two_load_runs import (
    load_pair,
    load_pair_answers,
    load_pair_section,
)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> LoadRun:
    return read_load_run(written_capacity(tmp_path_factory.mktemp("r"), at_least=2))


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> LoadRun:
    return read_load_run(written_load(tmp_path_factory.mktemp("r"), 25))


def undrawn(_spec: Spec) -> str:
    return "<svg></svg>"


def values_of(spec: Spec) -> list[dict[str, object]]:
    data = spec["data"]
    assert isinstance(data, dict)
    rows = data["values"]
    assert isinstance(rows, list)
    return rows


def test_the_page_has_every_part(searched: LoadRun) -> None:
    page = load_html([searched], drawer=undrawn)
    for heading in (
        "First audio over callers",
        "Good turns over callers",
        "The search",
        "Turns in flight",
        "Refusals and errors",
        "Delays of the client itself",
        "Stalls by caller",
        "Turns by phase and outcome",
        "Price",
        "Environment",
    ):
        assert f">{heading}<" in page
    assert searched.final.why() in page
    assert not re.search(r'(src|href)="(?!#|data:)', page)


def test_the_page_is_what_was_last_read(searched: LoadRun) -> None:
    page = load_html([searched], drawer=undrawn)
    page = re.sub(r"<(style|script)>.*?</\1>", r"<\1></\1>", page, flags=re.DOTALL)
    page = re.sub(r"sha256-[^']*", "sha256-", page)
    # Every new setting would be listed here.
    page = re.sub(r"<details><summary>Settings.*?</details>", "", page, flags=re.DOTALL)
    assert_golden(Path(__file__).parent / "golden" / "html" / "load.html", page)


def test_the_latency_has_both_moments_its_band_and_the_limit(searched: LoadRun) -> None:
    (_, words, spec), *_ = capacity_charts(searched)
    rows = values_of(spec)
    assert {row["line"] for row in rows} == {"p95 as due", "p50 as due", "p95 as sent"}
    for row in rows:
        low, value, high = (row[name] for name in ("low", "value", "high"))
        assert isinstance(low, float)
        assert isinstance(value, float)
        assert isinstance(high, float)
        assert low <= value <= high
    assert "the limit is 2000 ms" in words


def test_a_late_client_shows_between_due_and_sent(tmp_path: Path) -> None:
    folder = written_capacity(tmp_path, at_least=2)
    turns = folder / "turns.jsonl"
    turns.write_text(turns.read_text().replace('"late_ns":0', '"late_ns":3000000'))
    (_, _, spec), *_ = capacity_charts(read_load_run(folder))
    first = {row["line"]: row["value"] for row in values_of(spec) if row["callers"] == 8}
    due, sent = first["p95 as due"], first["p95 as sent"]
    assert isinstance(due, float)
    assert isinstance(sent, float)
    assert due - sent == pytest.approx(3.0)


def test_a_level_is_drawn_second_by_second_with_its_window(failing: LoadRun) -> None:
    [level] = failing.levels
    charts = {title: (words, spec) for title, words, spec in level_charts(level)}
    rows = values_of(charts["Turns in flight"][1])
    assert len(rows) > 480
    assert "stalled" in charts["Stalls by caller"][0]
    assert "0 refused, " in charts["Refusals and errors"][0]
    drawn = str(charts["Turns in flight"][1]["layer"])
    window = level.held.judgement.window
    assert f"{{'at': {window.start_s}}}, {{'at': {window.end_s}}}" in drawn


def test_a_long_level_is_drawn_in_steps(failing: LoadRun) -> None:
    [level] = failing.levels
    day = replace(level, held=replace(level.held, ended_s=86_400.0))
    (_, words, spec), *_ = level_charts(day)
    assert len(values_of(spec)) <= MOST_SECONDS + 1
    assert "the mean of each 144 s" in words


def test_a_level_without_turns_is_not_drawn(tmp_path: Path) -> None:
    folder = written_capacity(tmp_path, at_least=2)
    edit_level(folder, 0, level=77)
    page = load_html([read_load_run(folder)], drawer=undrawn)
    assert "INVALID" in page


def test_several_runs_are_side_by_side(searched: LoadRun, failing: LoadRun) -> None:
    page = load_html([searched, failing], drawer=undrawn)
    assert "Side by side" in page
    assert "A: Over callers" in page
    assert "B: Level 1: 25 callers, held" in page
    # A search and a level mean different things, so nothing of both is compared.
    assert "Not compared" in page
    assert "kind: capacity → load" in page
    assert "no difference shown" not in page


def test_two_searches_are_compared_with_both_curves_in_one_chart(searched: LoadRun) -> None:
    pair = (searched, searched)
    compared = load_pair(*pair)
    better, carried, _ = load_pair_answers(pair, compared)
    assert better.word == "Undecided"
    assert better.because[0] == "callers confirmed: 3 → 3"
    assert (carried.word, carried.css) == ("3 callers, confirmed", "good")
    section = load_pair_section(pair, compared)
    assert [sheet.title for sheet in section.sheets] == ["Capacity, in callers", "Level by level"]
    [(_, words, spec)] = section.charts
    assert {row["line"] for row in values_of(spec)} == {"A", "B"}
    assert "A 1041 ms at 1 caller" in words
    page = load_html(pair, drawer=undrawn)
    assert page.index("What changed") < page.index("A: Verdicts")


def test_the_first_screen_says_what_limits_and_what_is_next(failing: LoadRun) -> None:
    enough, limits, after = load_answers(failing)
    assert (enough.word, enough.css) == ("No", "bad")
    assert enough.because[0] == "first_audio_due.p90 < 2s: 14.6 % good, 90 % needed, FAIL"
    assert limits.word == "Turns that are late or stalled"
    assert limits.because[-1] == "bad at 25 callers: 986 late or stalled, of 1154 turns"
    assert "voicebench capacity" in after.word
    assert after.because == ["at 25 callers, 986 of 1154 turns are late or stalled"]


def test_a_run_without_a_verdict_is_neither_fast_enough_nor_better(
    tmp_path: Path, searched: LoadRun
) -> None:
    folder = written_capacity(tmp_path, at_least=2)
    (folder / "INCOMPLETE").touch()
    stopped = read_load_run(folder)
    assert [answer.word for answer in load_answers(stopped)][::2] == [
        *("No verdict", "hold the load again"),
    ]
    better, carried, _ = load_pair_answers((searched, stopped), load_pair(searched, stopped))
    assert (better.word, better.css) == ("May not be judged", "unsure")
    assert carried.word == "No verdict"


def test_no_word_of_a_run_under_load_becomes_markup(tmp_path: Path) -> None:
    folder = written_load(tmp_path, 25)
    hostile = "<script>window.pwned=1</script>"
    settings = json.loads((folder / "settings.json").read_text())
    settings["run"]["name"] = settings["run"]["target"] = hostile
    (folder / "settings.json").write_text(json.dumps(settings))
    run = read_load_run(folder)
    for page in (load_html([run], drawer=undrawn), load_html([run, run], drawer=undrawn)):
        assert page.count("<script>") == 1
        assert "&lt;script&gt;window.pwned" in page


@needs_chromium
def test_the_page_fits_a_phone_in_both_colours(searched: LoadRun, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(load_html([searched]), encoding="utf-8")
    with launched() as browser:
        for width, scheme in ((390, "dark"), (1200, "light")):
            page = browser.new_page(
                viewport={"width": width, "height": 800},
                color_scheme=scheme,  # type: ignore[arg-type]
            )
            page.goto(path.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.locator("figure svg").count() == page.locator("figure").count() >= 7
            page.close()
