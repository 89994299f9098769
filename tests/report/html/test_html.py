"""The HTML report as a text: what stands in it, what can never be in it, and how large it gets."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from golden_files import assert_golden
from handmade import make_turn, sprint_turns
from outcomes import simulated_turns, sprint_with_warmup, varied_turns
from recorded_folders import write_result

from voicebench.audio.wav_writer import write_wav
from voicebench.figures.metrics import BY_NAME
from voicebench.report.console.style import Column, Sheet
from voicebench.report.html import Section, html_report
from voicebench.report.html import page as page_module
from voicebench.report.html.charts import (
    MOST_POINTS,
    TEMPLATES,
    LimitLine,
    Sample,
    Spec,
    chart,
    draw,
)
from voicebench.report.html.picture import SPAN, in_words, picture, playhead
from voicebench.results.run import RecordedRun, read_run

GOLDEN = Path(__file__).parent / "golden" / "html"
HOSTILE = '</script><script>window.pwned=1</script><img src=x onerror="window.pwned=1">" \' {{7*7}}'
VOID = {"meta", "link", "br", "img", "input", "hr"}


def drawn(spec: Spec) -> str:
    """Stand in for the drawing, so that a golden file holds no font's metrics."""
    return f'<svg aria-hidden="true"><!-- {len(json.dumps(spec))} --></svg>'


@pytest.fixture
def sprint(tmp_path: Path) -> RecordedRun:
    return read_run(write_result(tmp_path, sprint_with_warmup(), name="sprint"))


@pytest.fixture
def hostile(tmp_path: Path) -> RecordedRun:
    turn = make_turn(prompt=HOSTILE, tokens=((100, HOSTILE),), chunks=((116, HOSTILE),))
    failing = replace(make_turn(2), failure=replace(varied_turns()[12].failure, reason=HOSTILE))  # type: ignore[type-var]
    folder = write_result(tmp_path, [turn, failing], name="hostile")
    settings = json.loads((folder / "settings.json").read_text())
    settings["run"]["name"] = HOSTILE
    settings[HOSTILE] = {HOSTILE: [HOSTILE]}
    (folder / "settings.json").write_text(json.dumps(settings))
    return read_run(folder)


class Reader(HTMLParser):
    """Checks that elements nest, and gathers what a test asks for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[int] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.elements.append((tag, found))
        if found.get("id"):
            self.ids.append(str(found["id"]))
        if tag == "a":
            self.links.append(str(found["href"]))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_what_was_last_read(sprint: RecordedRun) -> None:
    page = html_report([sprint], drawer=drawn)
    shortened = re.sub(r"<(style|script)>.*?</\1>", r"<\1></\1>", page, flags=re.DOTALL)
    assert_golden(GOLDEN / "sprint.html", re.sub("sha256-[^']*", "sha256-", shortened))


def test_the_specification_of_a_chart_is_what_was_last_read(sprint: RecordedRun) -> None:
    metric = BY_NAME["first_audio_ms"]
    spec = chart(
        metric, [Sample("A", sprint.columns.usable(metric), 8)], [LimitLine(300, "p95 < 300 ms")]
    )
    assert_golden(GOLDEN / "first-audio.vl.json", json.dumps(spec, indent=1) + "\n")


@pytest.mark.parametrize("count", [1, 2])
def test_elements_nest_headings_step_and_links_lead_somewhere(
    sprint: RecordedRun, count: int
) -> None:
    reader = Reader(html_report([sprint] * count, drawer=drawn))
    assert reader.headings[0] == 1
    assert reader.headings.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(reader.headings))
    assert len(reader.ids) == len(set(reader.ids))
    assert {link.removeprefix("#") for link in reader.links} <= set(reader.ids)


def test_every_picture_says_what_it_shows(sprint: RecordedRun) -> None:
    reader = Reader(html_report([sprint], drawer=draw))
    pictures = [found for tag, found in reader.elements if tag == "svg"]
    assert len(pictures) > 15
    for found in pictures:
        assert found.get("aria-hidden") == "true" or (
            found.get("role") == "img" and found.get("aria-label")
        )
    hidden = [found for tag, found in reader.elements if tag == "figcaption"]
    assert len(hidden) == sum(found.get("aria-hidden") == "true" for found in pictures)


def test_every_table_has_heads_with_a_scope(sprint: RecordedRun) -> None:
    reader = Reader(html_report([sprint], drawer=drawn))
    heads = [found for tag, found in reader.elements if tag == "th"]
    assert heads
    assert all(found.get("scope") in ("col", "row") for found in heads)


def test_no_word_of_a_result_becomes_markup(hostile: RecordedRun) -> None:
    page = html_report([hostile, hostile], drawer=drawn)
    reader = Reader(page)
    assert sum(tag == "script" for tag, _ in reader.elements) == 1
    assert not any(tag == "img" for tag, _ in reader.elements)
    assert not any(name.startswith("on") for _, found in reader.elements for name in found)
    assert "{{7*7}}" in html.unescape(page)


def test_nothing_but_the_page_s_own_script_may_run(sprint: RecordedRun) -> None:
    page = html_report([sprint], drawer=drawn)
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    [script] = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


def test_nothing_in_the_page_is_fetched(sprint: RecordedRun) -> None:
    page = html_report([sprint], drawer=draw)
    without_namespaces = re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    assert not re.search(r"https?://", without_namespaces)
    assert "url(" not in page
    assert "@import" not in page


def test_a_drawn_chart_has_no_id_that_a_second_one_could_have_too(sprint: RecordedRun) -> None:
    metric = BY_NAME["first_audio_ms"]
    spec = chart(
        metric, [Sample("A", sprint.columns.usable(metric), 8)], [LimitLine(300, "p95 < 300 ms")]
    )
    svg = draw(spec)
    assert " id=" not in svg
    assert "var(--run-0)" in svg
    assert "p95 &lt; 300 ms" in svg
    assert draw(spec) == svg


def test_the_ecdf_of_many_values_keeps_its_ends() -> None:
    values = np.arange(100_000, dtype=np.float64)
    spec = json.dumps(chart(BY_NAME["turn_ms"], [Sample("A", values, values.size)], []))
    assert len(spec) < 150 * MOST_POINTS
    assert '"x": 99999.0, "y": 1.0' in spec
    assert '"x": 0.0, "y": 0.0' in spec


def test_a_turn_without_a_value_keeps_the_ecdf_under_the_whole() -> None:
    spec = json.dumps(chart(BY_NAME["turn_ms"], [Sample("A", np.array([1.0, 2.0]), 4)], []))
    assert '"x": 2.0, "y": 0.5' in spec
    assert '"y": 1.0' not in spec


def test_a_target_far_off_does_not_squeeze_the_values() -> None:
    values = np.array([10.0, 20.0])
    near = json.dumps(
        chart(BY_NAME["turn_ms"], [Sample("A", values, values.size)], [LimitLine(50, "near")])
    )
    far = json.dumps(
        chart(BY_NAME["turn_ms"], [Sample("A", values, values.size)], [LimitLine(5000, "far")])
    )
    assert "near" in near
    assert "far" not in far


def test_verdicts_come_first_and_the_slowest_turn_leads_where_asked(sprint: RecordedRun) -> None:
    page = html_report([sprint], drawer=drawn)
    order = [page.index(f'<section id="{name}"') for name in ("verdicts", "distributions")]
    assert order == sorted(order)
    rows = re.findall(r'<tr data-run="\d+" data-slow="([\d.]+)"', page)
    assert [float(row) for row in rows] == [338, 301, 252, 295, 286, 301, 310, 361]
    rows = re.findall(
        r'<tr data-run="\d+" data-slow="([\d.]+)"', html_report([sprint], sort=True, drawer=drawn)
    )
    assert [float(row) for row in rows] == [361, 338, 310, 301, 301, 295, 286, 252]


def test_a_picture_shows_tokens_chunks_audio_and_stalls() -> None:
    script = "sim:ttft=220ms,token=60ms,ttfb=170ms,speed=0.9x,silence=80ms,words=9"
    (turn,) = simulated_turns(script, ["measured"])
    shapes = {shape.kind: shape.path for shape in picture(turn, 4000, 300).shapes}
    assert shapes["token"].count("M") == 9
    assert shapes["chunk"].count("M") == len(turn.chunks)
    assert shapes["piece"].count("M") == len(turn.audio)
    assert shapes["stall"].count("M") == BY_NAME["stall_count"].of(turn)
    assert shapes["prefill"] == f"M0 0h{220 * SPAN // 4000}v10H0z"
    assert "no stall" not in in_words(turn)


def test_what_goes_on_past_the_axis_is_cut_there() -> None:
    shown = picture(make_turn(), 150, 100)
    assert shown.goes_on
    ends = [int(at) for shape in shown.shapes for at in re.findall(r"M(\d+)", shape.path)]
    assert max(ends) <= SPAN


def test_the_playhead_waits_where_the_listener_waits() -> None:
    turn = make_turn(audio=((200, 100), (250, 100), (600, 100)), silence_ms=0)
    assert playhead(turn) == [(0.0, 200.0), (0.2, 600.0)]


def test_saved_audio_is_in_the_page_up_to_its_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_result(tmp_path, sprint_turns())
    (folder / "audio").mkdir()
    for number in range(1, 9):
        path = folder / "audio" / f"turn-{number:03d}.wav"
        write_wav(path, np.zeros(800, dtype=np.float32), 8000)
    run = read_run(folder)
    assert html_report([run], drawer=drawn).count("data:audio/wav;base64,") == 8
    monkeypatch.setattr(page_module, "AUDIO_BYTES", 3 * path.stat().st_size)
    page = html_report([run], drawer=drawn)
    assert page.count("data:audio/wav;base64,") == 3
    assert "This page contains the audio of 3 of 8 runs, the slowest ones" in page
    assert 'aria-label="Audio of run 8"' in page


def test_a_result_of_many_turns_draws_the_telling_ones_and_says_so(tmp_path: Path) -> None:
    turns = [make_turn(audio=((100 + index % 97, 400),)) for index in range(2500)]
    run = read_run(write_result(tmp_path, turns))
    page = html_report([run], drawer=drawn)
    assert "42 of 2500 runs are drawn" in page
    assert page.count('<svg class="turn"') == 42
    assert len(page) < 1_000_000


def test_a_further_section_can_be_added(sprint: RecordedRun) -> None:
    sheet = Sheet("Trend", [Column("sprint", []), Column("p95", [])])
    section = Section("History", [sheet], [("p95", "It fell.", {"mark": "bar"})])
    page = html_report([sprint], sections=[section], drawer=drawn)
    assert '<a href="#more-1">History</a>' in page
    assert "<h3>p95</h3>" in page
    assert "It fell." in page
    Reader(page)


def luminance(colour: str) -> float:
    channels = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_words_stand_out_from_the_paper_in_both_schemes(scheme: int) -> None:
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    palette = dict(
        re.findall(
            r"--([\w-]+): (#[0-9a-f]{6});", re.findall(r":root {(.*?)}", style, re.S)[scheme]
        )
    )
    words = ("ink", "muted", "link", "target", "good", "bad", "near", "unsure")
    for name in (*words, "run-0", "run-1", "run-2", "run-3"):
        assert contrast(palette[name], palette["paper"]) >= 4.5, name
        assert contrast(palette[name], palette["panel"]) >= 4.5, name
