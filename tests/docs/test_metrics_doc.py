"""``docs/explanation/metrics.md`` says what the code does."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from drawn_turns import drawn_turn

from voicebench import errors
from voicebench.audio.pcm import AudibleRule
from voicebench.errors import UsageError, VoicebenchError
from voicebench.figures.metrics import BY_NAME, METRICS, Metric, compute
from voicebench.figures.summary import carries
from voicebench.judging.final import Word
from voicebench.judging.gates import CLOSE_MARGIN, OPERATORS, Verdict, parse_gate
from voicebench.settings import DEFAULT_GATES, describe_keys

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "metrics.md").read_text(encoding="utf-8")
LIST = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
WRITER = ROOT / "tools" / "write_docs.py"


def writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_docs", WRITER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(kind: str) -> list[list[str]]:
    """Return the lines of each block of code of this kind."""
    found = re.findall(rf"^```{kind}\n(.*?)\n```$", PAGE, re.DOTALL | re.MULTILINE)
    return [block.splitlines() for block in found]


def table_below(heading: str) -> list[list[str]]:
    """Return the cells of the first table below ``heading``, without its header."""
    rows = [line for line in PAGE.partition(heading)[2].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[2:]]


GATE_BLOCKS = [block for block in blocks("text") if any(".mean" in line for line in block)]
SHOWN_GATES = [line for block in GATE_BLOCKS for line in block]
REFUSED_GATES = [line for block in blocks("text refused") for line in block]


def test_the_generated_parts_are_up_to_date() -> None:
    assert writer().fill(PAGE, "explanation/metrics.md") == PAGE, "run: make docs"
    assert writer().fill(LIST, "reference/metrics.md") == LIST, "run: make docs"


def test_the_command_that_the_writer_names_says_whether_the_page_is_up_to_date() -> None:
    checked = subprocess.run(
        [sys.executable, str(WRITER), "--check"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def test_a_page_that_is_behind_is_brought_up_to_date() -> None:
    behind = re.sub(r"^\| `llm_ttft_ms` .*\n", "", LIST, flags=re.MULTILINE)
    assert behind != LIST
    assert writer().fill(behind, "reference/metrics.md") == LIST


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_is_explained(metric: Metric) -> None:
    assert f"| `{metric.name}` |" in LIST
    assert metric.doc in LIST


def test_no_metric_is_named_that_does_not_exist() -> None:
    named = {
        name
        for name in re.findall(r"`([a-z0-9_]+(?:_ms|_x|_s|_per_s|_count|_reused))`", PAGE + LIST)
        if "_" in name.strip("_")
    }
    of_units = [metric for metric in METRICS if metric.unit not in ("bool", "share")]
    assert len(named) >= len(of_units)
    assert named <= set(BY_NAME)


def test_every_setting_named_exists() -> None:
    keys = {key for key, _ in describe_keys()}
    named = set(re.findall(r"`((?:run|audible|llm|tts|chunker)\.[a-z_]+)`", PAGE))
    assert len(named) >= 6
    assert named <= keys


@pytest.mark.parametrize("gate", SHOWN_GATES)
def test_every_gate_shown_can_be_read(gate: str) -> None:
    parse_gate(gate)


@pytest.mark.parametrize("gate", re.findall(r"`([a-z_]+\.[a-z0-9()]+ (?:<|>)=? [^`]+)`", PAGE))
def test_every_gate_in_the_text_can_be_read(gate: str) -> None:
    parse_gate(gate)


@pytest.mark.parametrize("gate", REFUSED_GATES)
def test_every_gate_shown_as_refused_is_refused(gate: str) -> None:
    with pytest.raises(UsageError):
        parse_gate(gate)


def test_the_examples_were_found() -> None:
    assert len(SHOWN_GATES) >= 10
    assert len(REFUSED_GATES) >= 5
    assert list(DEFAULT_GATES) in GATE_BLOCKS


def test_every_operator_is_named() -> None:
    assert all(f"`{operator}`" in PAGE for operator in OPERATORS)


def test_the_verdicts_are_the_ones_that_exist() -> None:
    after = PAGE.partition("judged by these:")[2].partition("### The final verdict")[0]
    shown = re.findall(r"^\| ([A-Z ]+) \|", after, re.MULTILINE)
    assert shown == [verdict.value for verdict in Verdict]
    assert f"{CLOSE_MARGIN:.0%}".replace("%", " %") in after


def test_the_final_verdicts_and_their_exit_codes_are_the_ones_that_exist() -> None:
    after = PAGE.partition("### The final verdict")[2].partition("## Exit codes")[0]
    rows = re.findall(r"^\| ([A-Z ,]+) \|.*\| ([0-9, ]+) \|$", after, re.MULTILINE)
    shown = [pair for words, codes in rows
             for pair in zip(words.split(", "), codes.split(", "), strict=True)]  # fmt: skip
    assert dict(shown) == {word.value: str(int(word.exit_code)) for word in Word}
    assert len(shown) == len(Word)


def test_the_exit_codes_are_the_ones_of_the_errors() -> None:
    codes = {int(code) for code, _ in table_below("## Exit codes")}
    assert codes == {0, 1, 2, 3, 4, 5, 130}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    used = {kind.exit_code for kind in kinds if issubclass(kind, VoicebenchError)}
    assert used == {1, 2, 4}


def test_the_constants_of_audible_are_the_ones_of_the_rule() -> None:
    rule = AudibleRule()
    assert f"RMS over {rule.frame_ms:.0f} ms frames" in PAGE
    assert f"taken every {rule.hop_ms:.0f} ms" in PAGE
    assert f"above {rule.threshold} of full scale" in PAGE
    assert f"at least {rule.min_ms:.0f} ms" in PAGE


@pytest.mark.parametrize(("q", "needed"), [(90, 10), (95, 20), (99, 100)])
def test_how_many_turns_a_percentile_needs_is_as_the_page_says(q: int, needed: int) -> None:
    assert f"{needed} for p{q}" in PAGE.replace("\n  ", " ")
    assert carries(needed, q)
    assert not carries(needed - 1, q)


def test_the_example_of_the_listener_is_right() -> None:
    figures = compute(drawn_turn(audio=((200, 50), (220, 50), (340, 100)), silence=30))
    assert figures["first_audio_ms"] == 200
    assert figures["stall_ms"] == figures["worst_deficit_ms"] == 40
    assert figures["gapless_start_ms"] == 240
    assert figures["leading_silence_ms"] == 30
    assert figures["first_sound_ms"] == 230


def test_every_link_within_the_page_leads_somewhere() -> None:
    headings = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in headings}
    links = set(re.findall(r"\]\(#([^)]+)\)", PAGE))
    assert links == anchors
