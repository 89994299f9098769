"""The two languages of a sprint's page: the same is said, and no English is left in French."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest
from handmade import failed_turn, sprint_turns
from made_sprints import imported, interrupted, invalid, of_runs, recorded, stalling_turns

from voicebench.figures.figure import SHARES
from voicebench.figures.metrics import METRICS
from voicebench.judging import advice_sentences, gate_advice, noise
from voicebench.sprints.readings import SIGNS, Status
from voicebench.sprints.sprint import ASPECTS, WORDS, Sentence, Sprint
from voicebench.sprints.sprint_page import sprint_page
from voicebench.sprints.words import AS_FOUND, FOUND, REMEDIES, WORDING, Words

SOURCES = Path(__file__).parents[2] / "voicebench" / "sprints"
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
        # English has what a run's own report found as it stands there.
        if english != AS_FOUND and "finding" not in places(english):
            assert places(english) == places(french), key
        assert english, key
        assert french, key


def test_every_word_of_the_table_is_used() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES.glob("*.[pj]*"))
    families = ("label.", "statistic.", "word.", "next.", "stage.", *FOUND)
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


def test_every_noise_and_every_advice_has_french_words() -> None:
    kinds = {*advice_sentences.SENTENCES, "remark", "slow computing", "missed gate"}
    assert {f"advice.{kind}" for kind in kinds} <= FOUND.keys()
    source = Path(str(noise.__file__)).read_text(encoding="utf-8")
    calls = [
        call
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Noise"
    ]
    kinds = {str(call.args[0].value) for call in calls if isinstance(call.args[0], ast.Constant)}
    assert len(kinds) == len(calls) > 7
    assert {f"noise.{kind}" for kind in kinds} <= FOUND.keys()


def test_every_remedy_for_a_missed_gate_has_french_words() -> None:
    constants = [value for name, value in vars(gate_advice).items() if name.isupper()]
    assert {value for value in constants if isinstance(value, str)} == REMEDIES.keys()


def test_what_a_run_found_is_french_even_where_nobody_thought_of_it() -> None:
    told = {"finding": "it is late", "remedy": "go home"}
    assert Words("en").sentence(Sentence("advice.new", told)) == "it is late; go home"
    assert Words("fr").sentence(Sentence("advice.new", told)) == FOUND["advice"]


def sprints(folder: Path) -> list[tuple[Sprint, Sprint | None]]:
    """Return sprints that between them say most of what can be said."""
    stalls = recorded(folder, [*stalling_turns(), failed_turn(21)], name="s1")
    gates = ("first_audio.p50 < 1000ms", "llm_total.p50 < 100ms", "gapless_start.p50 < 100ms")
    slow = recorded(folder, sprint_turns(), gates=gates, name="s2")
    failed = recorded(folder, [failed_turn(1), failed_turn(2)], name="s3")
    return [
        (imported(45), None),
        (imported(46), imported(45)),
        (of_runs([stalls], by_hand={"humanity": 6}), imported(46)),
        (of_runs([slow], 48), of_runs([stalls], 47)),
        (of_runs([slow, stalls], 49), of_runs([slow], 48)),
        (of_runs([invalid(folder, sprint_turns(), name="s4")]), imported(46)),
        (of_runs([interrupted(folder / "later", sprint_turns(), name="s5")]), None),
        (of_runs([failed]), None),
    ]


def body(page: str) -> str:
    """Return a page without what is no language: front matter's keys, code, names, quotes."""
    page = re.sub(r"(?m)^(sprint|title|started|status|commit|commits|range|results):", "", page)
    page = re.sub(r"```toml\n.*?```", "", page, flags=re.DOTALL)
    page = re.sub(r"(?m)^  - .*$|« [^»]* »", "", page)
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
        assert Words("fr").sentence(Sentence("test", {name: value})) == expected
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


@pytest.mark.parametrize("share", SHARES)
def test_every_share_of_the_turns_has_its_words(share: str) -> None:
    assert Words("en").statistic(f"{share}(300ms)") == f"{share} 300ms"
    assert "300" in Words("fr").statistic(f"{share}(300ms)")
