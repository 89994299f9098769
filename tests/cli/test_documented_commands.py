"""The commands of the tutorial and of the short how-to pages work, one after the other.

The engines and servers that a command names are replaced by a simulated target, whose time is
scripted, so that all of it takes seconds. Everything else of the command is as the page has it.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from ran_command import Command

from voicebench.results.reading import find_result
from voicebench.results.run import read_run
from voicebench.settings import load_settings

DOCS = Path(__file__).parents[2] / "docs"
QUICK = "sim:ttft=40ms,token=2ms,ttfb=30ms,speed=1000x,words=4"
SERVER = re.compile(r"--server \S+|--llm \S+ --voice \S+")


def commands(page: str) -> list[str]:
    """Return the commands of a page's blocks of shell, without ``voicebench``."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (DOCS / page).read_text("utf-8"), re.DOTALL | re.M)
    return re.findall(r"^voicebench (.+)$", "\n".join(blocks), re.MULTILINE)


def settings_of(page: str, name: str) -> str:
    """Return the settings file that a page shows under this name."""
    texts: list[str] = re.findall(
        rf"```toml\n# {re.escape(name)}\n(.*?)```", (DOCS / page).read_text("utf-8"), re.DOTALL
    )
    (text,) = texts
    return text


def simulated(command: str) -> list[str]:
    """Return a command that measures the simulated target instead, on any machine."""
    words = shlex.split(SERVER.sub("", command))
    if words[0] in ("run", "tune") and "--target" not in words and "--replay" not in words:
        words += ["--target", QUICK]
    if words[0] == "run" and "--against" not in words:
        words += ["--allow-noise", "--warmup", "0"]
    if words[0] == "run" and not {"--runs", "--until-decided"} & set(words):
        words += ["--runs", "4"]
    return [word.replace("speed=20x", "speed=1000x,words=4") for word in words]


@pytest.fixture(autouse=True)
def in_an_empty_folder(
    scripted_time: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("voicebench.measuring.open_run.QUICK_TURNS", 1)


def test_the_tutorial_gives_its_three_results(voicebench: Command) -> None:
    local, page, server, kept, failed, settings, by_file = commands("tutorial/ten-minutes.md")
    assert voicebench(*simulated(local)).code == 0
    assert read_run(find_result(Path("latest"))).summary.turns == 8
    # Drawing the charts of a page takes seconds; tests of the report do.
    assert page.endswith("run.html")
    assert voicebench(*simulated(page.replace(".html", ".md"))).code == 0
    assert "4 of 4 gates passed" in Path("run.md").read_text(encoding="utf-8")

    assert voicebench(*simulated(server)).code == 0
    assert find_result(Path("latest")).name.endswith("-server")

    for command, code, word in ((kept, 0, "PASS"), (failed, 3, "FAIL")):
        ran = voicebench(*simulated(command))
        assert ran.code == code
        assert word in ran.out.rstrip().splitlines()[-1]
        assert "<testcase" in Path("voice.xml").read_text(encoding="utf-8")

    assert voicebench(*simulated(settings)).code == 0
    assert Path("voicebench.toml").is_file()
    assert voicebench(*simulated(by_file)).code == 0
    assert list(Path("results").glob("*-ci"))


def test_the_page_on_tuning_finds_a_setting_and_checks_it(voicebench: Command) -> None:
    run, doctor, replay, tune, decided, against, own = commands("how-to/tune.md")
    assert voicebench(*simulated(run)).code == 0
    assert doctor == "doctor"
    assert voicebench(*simulated(replay)).code in (0, 5)
    few = tune.replace("--runs 20", "--runs 4")
    assert few != tune
    assert voicebench(*simulated(few)).code in (0, 5)
    tuned = Path("tuned.toml")
    if not tuned.exists():  # a busy machine chooses nothing
        tuned.write_text("[chunker]\nfirst_words = 2\n", encoding="utf-8")
    Path("before.toml").write_text("[chunker]\nfirst_words = 4\n", encoding="utf-8")
    assert voicebench(*simulated(decided), "--max-runs", "8").code in (0, 5)
    assert "first_audio" in voicebench(*simulated(against), "--runs", "4").out
    assert voicebench(*simulated(own)).code == 0


def test_the_page_on_comparing_compares(voicebench: Command) -> None:
    against, compare, page, keep, judged = commands("how-to/compare.md")
    small = Path("small.toml")
    small.write_text(settings_of("how-to/compare.md", "small.toml"), encoding="utf-8")
    assert load_settings(small).settings.run.name == "small"
    sides = {}
    for name, first_token in (("small", "40ms"), ("large", "80ms")):
        target = QUICK.replace("40ms", first_token)
        run = f'[run]\nname = "{name}"\ntarget = "{target}"\n'
        Path(f"{name}.toml").write_text(run, encoding="utf-8")
        sides[name] = target
    ran = voicebench(*shlex.split(against), "--runs", "8", "--no-gate", "--warmup", "0")
    assert "worse" in ran.out

    found = {path.name.partition("-")[2]: str(path) for path in Path("results").iterdir()}
    assert found.keys() == sides.keys()
    for written in (compare, page):
        words = [next((found[n] for n in found if w.endswith(n)), w) for w in written.split()]
        assert words != written.split()
        assert voicebench(*words).code == 0
    assert Path("compared.html").is_file()

    same = ("--target", QUICK, "--allow-noise")
    assert voicebench("run", *same, "--runs", "4").code == 0
    assert voicebench(*shlex.split(keep), "--allow-noise").code == 0
    assert voicebench(*shlex.split(judged), *same, "--runs", "4").code in (0, 5)
