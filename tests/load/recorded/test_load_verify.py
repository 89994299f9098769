"""A changed, cut or missing line of a run under load is found."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from load_folders import edit_json, edit_level, written_capacity, written_load

from voicebench.load.recorded.load_verify import verify_load
from voicebench.results.folder import INCOMPLETE


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written_capacity(tmp_path_factory.mktemp("r"), at_least=2)


@pytest.fixture(scope="module")
def level(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written_load(tmp_path_factory.mktemp("r"), 3)


def without_sums(folder: Path, to: Path) -> Path:
    """Return a copy without checksums, so that only the figures can tell."""
    shutil.copytree(folder, to)
    (to / "SHA256SUMS").unlink()
    return to


def differences(folder: Path) -> str:
    return "\n".join(str(finding) for finding in verify_load(folder).findings)


def edit(name: str, change: Callable[[list[str]], list[str]]) -> Callable[[Path], None]:
    def made(folder: Path) -> None:
        path = folder / name
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(change(lines)), encoding="utf-8")

    return made


def test_a_run_holds(search: Path, level: Path) -> None:
    for folder in (search, level):
        checked = verify_load(folder)
        assert checked.holds, checked.findings
        assert checked.turns > 100
        assert checked.figures > 50
        assert checked.notes == []


CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a turn less": (
        edit("turns.jsonl", lambda lines: lines[:40] + lines[41:]),
        "turn 41 is missing",
    ),
    "a turn that is none": (
        edit("turns.jsonl", lambda lines: [*lines[:9], "{}\n", *lines[10:]]),
        "turns.jsonl: cannot be read to its end",
    ),
    "a faster turn": (
        edit(
            "turns.jsonl",
            lambda lines: [line.replace('"late_ns":0', '"late_ns":9') for line in lines],
        ),
        "late_ms",
    ),
    "a cut turn": (edit("turns.jsonl", lambda lines: [*lines[:-1], lines[-1][:50]]), "is cut off"),
    "a level less": (edit("levels.jsonl", lambda lines: lines[:-1]), "has no line for level"),
    "a cut level": (edit("levels.jsonl", lambda lines: [*lines[:-1], lines[-1][:50]]), "cut off"),
    "an edited figure": (lambda folder: edit_level(folder, 0, in_flight=0.5), "in_flight is 0.5"),
    "an edited standing": (
        lambda folder: edit_level(folder, 1, standing="invalid"),
        "standing is invalid",
    ),
    "a later window": (
        lambda folder: edit_level(folder, 1, window={"start_s": 40.0, "end_s": 280.0}),
        "its window begins at 40 s",
    ),
    "other blocks": (lambda folder: edit_level(folder, 0, block_s=60.0), "block_s is 60.0"),
    "another answer": (
        lambda folder: edit_json(folder / "capacity.json", capacity=99),
        "capacity is 99",
    ),
    "another verdict": (
        lambda folder: edit_json(folder / "capacity.json", verdict="FAIL"),
        "verdict is FAIL",
    ),
    "no answer": (lambda folder: (folder / "capacity.json").unlink(), "capacity.json: is missing"),
    "another row": (
        edit("load.csv", lambda lines: [lines[0], lines[1].replace("climb", "held"), *lines[2:]]),
        "level 1, purpose is held",
    ),
    "a row less": (edit("load.csv", lambda lines: lines[:-1]), "has no whole row for level"),
    "no rows": (lambda folder: (folder / "load.csv").unlink(), "load.csv: cannot be read"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_found_without_checksums(change: str, search: Path, tmp_path: Path) -> None:
    make, says = CHANGES[change]
    folder = without_sums(search, tmp_path / "copy")
    make(folder)
    assert says in differences(folder)


def test_gates_that_are_easier_than_the_settings_are_found(search: Path, tmp_path: Path) -> None:
    folder = without_sums(search, tmp_path / "copy")
    gates = [{"gate": "errors.rate <= 50%", "share": 0.5}]
    edit_json(folder / "capacity.json", gates=gates, at_least=1)
    assert "at_least is 1, and the turns give 2" in differences(folder)
    assert "gates" in differences(folder)


def test_a_level_that_ended_too_soon_is_found(level: Path, tmp_path: Path) -> None:
    folder = without_sums(level, tmp_path / "copy")
    edit_level(folder, 0, window={"start_s": 10.0, "end_s": 250.0})
    assert "its window is 240 s long, and 480 s were planned" in differences(folder)


def test_checksums_find_what_alters_no_figure(level: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(level, tmp_path / "copy")
    edit("turns.jsonl", lambda lines: [lines[0].replace('"prompt":"', '"prompt":"x'), *lines[1:]])(
        folder
    )
    assert differences(folder) == "turns.jsonl: has changed since the run ended"


def test_an_interrupted_run_is_checked_as_far_as_it_goes(search: Path, tmp_path: Path) -> None:
    folder = without_sums(search, tmp_path / "copy")
    (folder / INCOMPLETE).touch()
    (folder / "capacity.json").unlink()
    edit("levels.jsonl", lambda lines: lines[:2])(folder)
    edit("load.csv", lambda lines: lines[:3])(folder)
    checked = verify_load(folder)
    assert checked.holds, checked.findings
    assert any("did not come to its end" in note for note in checked.notes)
