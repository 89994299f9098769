"""docs/explanation/statistics.md agrees with the code: bounds, rules, and rows of its tables."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import interval_coverage, load_coverage
from benchmarks.hearing import others, suffered
from voicebench.audio import hearing, misreading, seams
from voicebench.figures.differences import SHOWN_IN
from voicebench.figures.intervals import BOOTSTRAP_UP_TO, values_to_bound
from voicebench.judging import best_setting as choosing
from voicebench.judging import noise, validity
from voicebench.judging.comparability import MACHINE, MACHINE_PACKAGES
from voicebench.judging.final import Word
from voicebench.judging.gates import Verdict
from voicebench.judging.regression import USUAL
from voicebench.load import steadiness
from voicebench.load.evidence import turns_needed, turns_of_a_sequence
from voicebench.load.search import SCREEN_ERROR

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "statistics.md").read_text(encoding="utf-8")
FLAT = " ".join(PAGE.split())


def table_row(*cells: str) -> float:
    """Return the cell after these, a percentage, of the row that begins with them."""
    [found] = re.findall(rf"^\| {re.escape(' | '.join(cells))} \| ([0-9.]+) % \|", PAGE, re.M)
    return float(found)


@pytest.mark.parametrize("row", [("normal", "under(320ms)", "20"), ("bimodal", "p50", "10")])
def test_a_row_of_the_table_is_what_the_benchmark_gives(row: tuple[str, str, str]) -> None:
    [kind] = [known for known in interval_coverage.KINDS if known.name == row[0]]
    n = int(row[2])
    rng, truth = interval_coverage.generator(kind, n), interval_coverage.true_figure(kind, row[1])
    hits = sum(
        interval_coverage.covers(interval_coverage.interval_of(row[1], kind.draw(rng, n)), truth)
        for _ in range(2000)
    )
    assert table_row(*row) == pytest.approx(100 * hits / 2000, abs=0.06)


def test_the_gate_keeps_its_promises_in_the_table() -> None:
    for gates in ("1", "3"):
        for spread in ("5 %", "20 %"):
            assert table_row(gates, spread, "30", "+0 %") <= 5
            failed = f"{table_row(gates, spread, '30', '+0 %'):.1f} %"
            assert table_row(gates, spread, "30", "+0 %", failed) <= 10  # not shown
        assert table_row(gates, "5 %", "30", "+10 %") >= 95


def test_the_usual_figures_are_the_ones_of_the_code() -> None:
    listed = FLAT.partition("these are compared:")[2].partition("The result lists")[0]
    named = {name.partition(".")[0] for name in re.findall(r"`([a-z_.]+)`", listed)}
    assert named == {figure.name.partition(".")[0] for figure in USUAL}
    assert f"shown in {100 * SHOWN_IN:.0f} % of all pairs of runs" in FLAT


def test_the_verdicts_against_a_baseline_end_as_the_page_says() -> None:
    rows = re.findall(r"^\| ([A-Z ]+) \| .* \| ([0-9]) \|$", PAGE, re.M)
    assert rows == [(word, str(int(Word(word).exit_code))) for word, _ in rows]
    assert {word for word, _ in rows} == {verdict.value for verdict in Verdict} - {"CLOSE"}


@pytest.mark.parametrize(
    "words",
    [
        f"above {BOOTSTRAP_UP_TO} turns Student's t",
        f"no upper end under {values_to_bound(95)} turns",
        f"from {noise.FEWEST_TURNS} measured turns on",
        f"above {noise.LAG_MS:.0f} ms and a tenth of the median first audio",
        f"above {100 * noise.OTHERS_NAMED:.0f} % | above {100 * noise.OTHERS_INVALID:.0f} %",
        f"for more than {100 * noise.QUOTA_INVALID:.0f} % of the time",
        f"above {100 * noise.DRIFT_NAMED:.0f} % and {noise.DRIFT_MS:.0f} ms "
        f"| above {100 * noise.DRIFT_INVALID:.0f} %",
        f"at level {noise.DRIFT_LEVEL}",
        f"modified Z-score above {noise.OUTLIER_SCORE}",
        f"above {100 * noise.COLLECTION_NAMED:.0f} % of a turn, and {noise.COLLECTION_MS:.0f} ms",
        f"more than {100 * validity.MOST_CLIPPED:.1f} % of the samples clipped",
        f"over {validity.FASTEST_CHARACTERS_PER_S:.0f} or under "
        f"{validity.SLOWEST_CHARACTERS_PER_S:.0f} characters a second",
        f"more than {100 * seams.LEAST_JUMP:.0f} % of full scale",
        f"at most {choosing.MOST_DEFICIT_MS:.0f} ms",
        f"within {100 * choosing.AS_EARLY_WITHIN:.0f} % of the other's first audio",
        f"more than {misreading.LARGEST:.0f} times beyond full scale",
        f"above −{-hearing.FLATTEST_DB:.1f} dB over at least {hearing.LEAST_NOISE_S} s",
        f"less than {hearing.LEAST_CHANGE_DB} dB over at least {hearing.LEAST_UNCHANGED_S} s",
        f"as flat as noise (above −{-hearing.STRETCH_FLATTEST_DB} dB)",
    ],
)
def test_every_bound_is_the_code_s(words: str) -> None:
    assert words in FLAT


def test_the_table_of_what_must_agree_names_what_is_compared() -> None:
    [row] = [line for line in PAGE.splitlines() if line.endswith("compared, with a warning |")]
    named = row.replace("processor", "cpu").replace("memory", "memory_bytes").lower()
    for key in (*MACHINE, *MACHINE_PACKAGES):
        assert key in named


def test_the_tables_of_speech_and_no_speech_have_every_case_of_the_benchmark() -> None:
    cases = [*suffered.HARMS, *suffered.BEYOND, *others.SOUNDS, *others.BYTES]
    for case in cases:
        [(count, wrong)] = re.findall(rf"^\| {re.escape(case)} \| (\d+) \| (\d+) \|$", PAGE, re.M)
        assert int(count) > 40
        if case in suffered.HARMS:
            assert int(wrong) == 0


def load_rows(queue: str) -> list[list[str]]:
    """Return the cells of the rows on load that begin with ``queue``."""
    rows = [line for line in PAGE.splitlines() if line.startswith(f"| {queue} |")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_tables_on_load_keep_the_promises() -> None:
    rows = load_rows(load_coverage.SMALL.name)
    [search] = [row for row in rows if len(row) == 9]
    bracketed, false_holds, false_fails = (float(cell.removesuffix(" %")) for cell in search[2:5])
    assert int(search[1]) == load_coverage.SMALL.capacity()
    assert bracketed >= 95
    assert false_holds <= 5
    assert false_fails <= 5
    levels = {int(row[1]): row for row in rows if len(row) == 6}
    for callers, row in levels.items():
        assert row[2] == f"{100 * load_coverage.SMALL.truth(callers):.1f} %"
        if callers > load_coverage.SMALL.capacity():
            assert float(row[3].removesuffix(" %")) <= 5
    for row in (row for row in rows if len(row) == 7):
        assert float(row[5].removesuffix(" %")) >= 95


@pytest.mark.parametrize(
    "words",
    [
        f"needs {turns_of_a_sequence(0.95, 0.05)} turns for 95 %",
        f"{turns_of_a_sequence(0.99, 0.05)} for 99 %",
        f"{turns_needed(0.95)} turns for 95 %, {turns_needed(0.99)} for 99 %, "
        f"{turns_needed(0.99, bad=1)} for 99 % with one bad turn",
        f"Kendall's statistic above {steadiness.TREND_Z}",
        f"more than {steadiness.SATURATED_RISE} times that of the first",
        f"at least {steadiness.BLOCKS_OF_PATIENCE} blocks",
        f"above {steadiness.STEEP_Z}, and more than {steadiness.STEEP_RISE} times",
        f"likely (error {100 * SCREEN_ERROR:.0f} %",
    ],
)
def test_every_bound_on_load_is_the_code_s(words: str) -> None:
    assert words in FLAT
