"""The two languages of a sprint's page: the same is said, and no English is left in French."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest
from handmade import failed_turn, sprint_turns
from made_sprints import imported, interrupted, invalid, of_runs, recorded, stalling_turns

from voicebench.metrics import METRICS
from voicebench.report.sprint.page import sprint_page
from voicebench.report.sprint.readings import SIGNS, Status
from voicebench.report.sprint.sprint import ASPECTS, WORDS, Said, Sprint
from voicebench.report.sprint.wording import WORDING
from voicebench.report.sprint.words import Words

SOURCES = Path(__file__).parents[2] / "voicebench" / "report" / "sprint"
FRENCH_TOO = {
    *("aspect", "audio", "commit", "conclusion", "e2e", "llm", "max", "min", "p50", "p95"),
    *("score", "sprint", "streaming", "tests", "total", "transport", "tts", "ttfb", "voicebench"),
    *("websocket", "pass", "on", "son"),
}
"""Words of the English template that French writes too."""


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def letters(text: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[^\W\d_]{2,}", re.sub(r"{.*?}", " ", text))}


def test_both_languages_say_the_same_figures() -> None:
    for key, (english, french) in WORDING.items():
        # What only English has is quoted from the run's own report.
        if key not in ("noise", "advice"):
            assert places(english) == places(french), key
        assert english, key
        assert french, key


def test_every_word_of_the_table_is_used() -> None:
    source = "\n".join(
        path.read_text(encoding="utf-8") for path in SOURCES.glob("*.py") if path.stem != "wording"
    )
    families = ("label.", "statistic.", "word.", "next.")
    known = {*get_args(Status), *ASPECTS}
    unused = [
        key
        for key in WORDING
        if not re.search(rf"[\"']{re.escape(key.removesuffix('.one'))}[\"']", source)
        and not key.startswith(families)
        and key not in known
    ]
    assert unused == []


def test_everything_that_is_named_has_words() -> None:
    for metric in METRICS:
        assert f"label.{metric.short_name}" in WORDING
    for key in (*get_args(Status), *ASPECTS, *(f"word.{word}" for word in WORDS)):
        assert key in WORDING
    assert set(SIGNS) == set(get_args(Status))


def sprints(folder: Path) -> list[tuple[Sprint, Sprint | None]]:
    """Return sprints that between them say most of what can be said."""
    stalls = recorded(folder / "stalls", [*stalling_turns(), failed_turn(21)])
    slow = recorded(folder / "slow", sprint_turns(), gates=("first_audio.p50 < 1000ms",))
    return [
        (imported(45), None),
        (imported(46), imported(45)),
        (of_runs([stalls], by_hand={"humanity": 6}), imported(46)),
        (of_runs([slow], 48), of_runs([stalls], 47)),
        (of_runs([slow, stalls], 49), of_runs([slow], 48)),
        (of_runs([invalid(folder / "invalid", sprint_turns())]), imported(46)),
        (of_runs([interrupted(folder / "interrupted", sprint_turns())]), None),
        (of_runs([recorded(folder / "failed", [failed_turn(1), failed_turn(2)])]), None),
    ]


def body(page: str) -> str:
    """Return a page without what is no language: front matter's keys, code, names, quotes."""
    page = re.sub(r"(?m)^(sprint|title|started|status|commit|commits|range|results):", "", page)
    page = re.sub(r"```toml\n.*?```", "", page, flags=re.DOTALL)
    page = re.sub(r"(?m)^  - .*$", "", page)
    page = re.sub(r"`[^`\n]*`|\S*/\S*|\S+\\?_\S+|\| (Oh boy|Test unique).*", " ", page)
    return page.replace("null", "").replace("text\n", "")


def test_no_english_word_of_the_template_is_left_in_french(tmp_path: Path) -> None:
    english = set().union(*(letters(pair[0]) for pair in WORDING.values()))
    french = set().union(*(letters(pair[1]) for pair in WORDING.values()))
    foreign = english - french - FRENCH_TOO
    assert len(foreign) > 150
    for sprint, before in sprints(tmp_path):
        found = letters(body(sprint_page(sprint, before, "fr"))) & foreign
        assert found == set(), sprint.number
        assert letters(body(sprint_page(sprint, before, "en"))) & foreign


def test_french_writes_decimal_commas_and_english_points(tmp_path: Path) -> None:
    for sprint, before in sprints(tmp_path):
        assert not re.search(r"\d\.\d", body(sprint_page(sprint, before, "fr")))
        assert not re.search(r"\d,\d", body(sprint_page(sprint, before, "en")))
    page = sprint_page(imported(46), imported(45), "fr")
    assert "**Taux de réussite :** 3/8 sous 300 ms (37,5 %)" in page
    assert "202/202 tests réussis (100 %). 1 ignoré, 5 avertissements, 18,76 s." in page


def test_french_keeps_its_space_before_a_double_sign(tmp_path: Path) -> None:
    for sprint, before in sprints(tmp_path):
        page = body(sprint_page(sprint, before, "fr"))
        assert not re.search(r"\w[:;?!](?:\s|\*)", page.replace("---:", "")), page


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("took_ms", 12.34, "12,3 ms"),
        ("good_share", 0.375, "37,5 %"),
        ("of", 7.5, "7,5"),
        ("our_statistic", "mean", "moyenne"),
        ("finding", "3.5", "3.5"),
    ],
)
def test_a_place_is_written_as_the_end_of_its_name_says(
    name: str, value: str | float, expected: str
) -> None:
    WORDING["test"] = ("", "{" + name + "}")
    try:
        assert Words("fr").said(Said("test", {name: value})) == expected
    finally:
        del WORDING["test"]


def test_one_thing_is_one() -> None:
    assert [Words("en")("warnings", n=n) for n in (0, 1, 2)] == [
        "0 warnings",
        "1 warning",
        "2 warnings",
    ]
    assert [Words("fr")("skipped", n=n) for n in (0, 1, 2)] == [
        "0 ignoré",
        "1 ignoré",
        "2 ignorés",
    ]


def test_no_french_sentence_says_one_of_many_things(tmp_path: Path) -> None:
    for sprint, before in sprints(tmp_path):
        page = body(sprint_page(sprint, before, "fr"))
        assert not re.search(r"\b[01] (?:essais|tours|objectifs|seuils|tests) ", page)
