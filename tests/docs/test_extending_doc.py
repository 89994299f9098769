"""The page on extending: its steps are applied to a copy of the package, which is then run."""

from __future__ import annotations

import base64
import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from loopback import Peer, serving
from served_somewhere import server

from voicebench.audio.synthetic_voice import synthetic_voice
from voicebench.audio.wav_writer import wav_header

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "extending.md").read_text(encoding="utf-8")
RATE = 16_000
MOST_FILES = {"A target": 3, "A TTS server": 3, "A metric": 1, "A report format": 2}


@dataclass(frozen=True)
class Step:
    """One block of code under the name of its file: a whole new file, or a change of one."""

    path: str
    form: str
    code: str


def walks() -> dict[str, str]:
    """Return the text of each walk by its heading, without the count of files."""
    parts = re.split(r"^## (.+): \d files?$", PAGE, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def steps(walk: str) -> list[Step]:
    found = []
    for part in re.split(r"^### ", walk, flags=re.MULTILINE)[1:]:
        named = re.match(r"`(.+)`\n", part)
        blocks = re.findall(r"```(python|diff)\n(.*?)```", part, re.DOTALL)
        found += [Step(named[1], form, code) for form, code in blocks if named]
    return found


def command(walk: str) -> list[str]:
    """Return the arguments of the command that the walk ends with."""
    (line,) = re.findall(r"^\$ voicebench (.+)$", walk, re.MULTILINE)
    return shlex.split(line)


def apply(step: Step, root: Path) -> None:
    path = root / step.path
    if step.form == "python":
        assert not path.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(step.code, encoding="utf-8")
        return
    lines = step.code.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if not line.startswith("+"))
    after = "".join(line[1:] for line in lines if not line.startswith("-"))
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1, before
    path.write_text(text.replace(before, after), encoding="utf-8")


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a copy of the package to which all steps were applied."""
    root = tmp_path_factory.mktemp("extended")
    shutil.copytree(
        ROOT / "voicebench", root / "voicebench", ignore=shutil.ignore_patterns("__pycache__")
    )
    for walk in walks().values():
        for step in steps(walk):
            apply(step, root)
    return root


def ran(extended: Path, *command: str) -> str:
    """Return what ``python -m …`` prints, run where the copy is."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=extended,
        env=os.environ | {"PYTHONPATH": str(extended), "COLUMNS": "200"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_each_walk_changes_as_few_files_as_it_promises() -> None:
    promised = re.findall(r"^## (.+): (\d) files?$", PAGE, re.MULTILINE)
    assert {name: int(count) for name, count in promised} == MOST_FILES
    for name, walk in walks().items():
        assert len({step.path for step in steps(walk)}) == MOST_FILES[name]


@pytest.mark.slow
def test_the_new_target_is_measured_and_keeps_its_own_test(extended: Path) -> None:
    walk = walks()["A target"]
    document = json.loads(ran(extended, "voicebench", *command(walk), "--json"))
    assert document["run"]["target"] == "babbler"
    assert document["metrics"]["first_audio_ms"]["n"] == 3
    (test,) = (step.path for step in steps(walk) if step.path.startswith("tests/"))
    assert "1 passed" in ran(extended, "pytest", "-q", "-p", "no:cacheprovider", test)


@pytest.mark.slow
def test_the_new_tts_server_is_measured(extended: Path) -> None:
    def speak(peer: Peer) -> None:
        wav = wav_header(RATE, RATE) + (synthetic_voice(RATE, RATE) * 32767).astype("<i2").tobytes()
        while True:
            assert peer.request().json["text"]
            answer = json.dumps({"audio": base64.b64encode(wav).decode()})
            peer.answer("application/json", answer.encode())

    arguments = command(walks()["A TTS server"])
    with server() as chat, serving(speak) as speech:
        arguments = [
            text.replace("http://127.0.0.1:8000", chat).replace("http://127.0.0.1:9000", speech.url)
            for text in arguments
        ]
        document = json.loads(ran(extended, "voicebench", *arguments, "--json"))
    assert document["metrics"]["first_audio_ms"]["missing"] == 0


@pytest.mark.slow
def test_the_new_metric_is_in_gates_table_and_csv_and_the_new_format_reports_the_run(
    extended: Path,
) -> None:
    shutil.rmtree(extended / "results", ignore_errors=True)
    shown = ran(extended, "voicebench", *command(walks()["A metric"]))
    assert "spoken_words_per_s.mean" in shown
    assert "PASS" in shown
    with (extended / "turns.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = list(rows[0])
    assert columns[columns.index("run") - 1] == "spoken_words_per_s"
    spoken = [float(row["spoken_words_per_s"]) for row in rows if row["phase"] == "measured"]
    assert spoken == pytest.approx(2 * [16 / 4.8])
    (folder,) = (extended / "results").iterdir()
    arguments = [
        f"results/{folder.name}" if text == "results/*" else text
        for text in command(walks()["A report format"])
    ]
    line = ran(extended, "voicebench", *arguments)
    assert re.fullmatch(r"default: PASS, first audio [\d.]+ m?s\n", line)
