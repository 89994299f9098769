"""``docs/how-to/ci.md`` and ``action.yml``: each step's commands run, with a simulated target.

The commands are taken from the YAML and given to bash as the services do it. Commands that would
use the network are replaced: ``pip`` and ``voicebench models`` only check their arguments, ``gh``
and ``curl`` write their arguments to a file.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from voicebench.cli.capacity import capacity as capacity_command
from voicebench.cli.run import run as run_command
from voicebench.errors import ExitCode
from voicebench.results.checksums import NAME

yaml = pytest.importorskip("yaml")
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "ci.md").read_text(encoding="utf-8")
BLOCKS = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
TARGET = "sim:ttft=5ms,token=1ms,ttfb=5ms,speed=100x,words=6"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="needs bash")]

COMMANDS = {
    "voicebench": """#!/bin/sh
if [ "$1" = models ]; then exec {python} -m voicebench models "$2" --help > /dev/null; fi
exec {python} -m voicebench "$@"
""",
    "python": """#!/bin/sh
exec {python} "$@"
""",
    "pip": """#!/bin/sh
[ "$1" = install ] && [ -n "$2" ] && echo "$2" >> {log}/pip
""",
    "gh": """#!/bin/sh
echo "$@" >> {log}/gh
""",
    "curl": """#!/bin/sh
echo "$@" >> {log}/curl
[ -f {log}/main.zip ] && cp {log}/main.zip main.zip
""",
}


@dataclass(frozen=True)
class Workplace:
    """A checkout on a CI service's machine."""

    folder: Path
    log: Path

    def run(self, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run ``script`` as the services run a step."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("GITHUB_", "CI_", "VOICEBENCH_"))
        }
        search = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            check=False,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=300,
            env=inherited
            | {"PATH": f"{self.log / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": search}
            | environment,
        )
        print(done.stdout, done.stderr)
        return done

    def asked(self, command: str) -> str:
        """Return the arguments of a replaced command."""
        path = self.log / command
        return path.read_text() if path.exists() else ""

    def result(self) -> Path:
        """Return the latest result."""
        return sorted((self.folder / "results").glob("*Z-ci"))[-1]


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    folder, log = tmp_path / "checkout", tmp_path / "log"
    (folder / "configs").mkdir(parents=True)
    (log / "bin").mkdir(parents=True)
    config = (ROOT / "configs" / "ci.toml").read_text(encoding="utf-8")
    config = config.replace("runs = 20", f'runs = 4\ntarget = "{TARGET}"')
    # Where the tests run is no quiet machine, and what is measured here is nothing.
    config = config.replace("< 2s", "< 60s")
    config += "\n[judge]\nallow_noise = true\n"
    (folder / "configs" / "ci.toml").write_text(config, encoding="utf-8")
    for name, script in COMMANDS.items():
        path = log / "bin" / name
        path.write_text(script.format(python=sys.executable, log=log))
        path.chmod(0o755)
    return Workplace(folder, log)


def quiet(result: Path) -> None:
    """Change a result as if the machine had been quiet, so that it may be a baseline."""
    turns = (result / "turns.jsonl").read_text(encoding="utf-8").splitlines()
    lines = [
        json.dumps(json.loads(line) | {"machine": None}, ensure_ascii=False) + "\n"
        for line in turns
    ]
    (result / "turns.jsonl").write_text("".join(lines), encoding="utf-8")
    path = result / "environment.json"
    environment = json.loads(path.read_text())
    environment["instrument"]["p95_ms"] = 0.01
    path.write_text(json.dumps(environment))
    (result / NAME).unlink()


def steps(block: dict[str, object]) -> dict[str, str]:
    """Return the commands of each step of a GitHub workflow that has any."""
    ((_, job),) = block["jobs"].items()  # type: ignore[attr-defined]
    return {step["name"]: step["run"] for step in job["steps"] if "run" in step}


GITHUB, SHORT, CAPACITY, GITLAB = BLOCKS


def test_no_expression_stands_in_a_command_where_it_could_be_one() -> None:
    for block in (GITHUB, SHORT):
        assert not any("${{" in script for script in steps(block).values())
    assert not any("${{" in step.get("run", "") for step in ACTION["runs"]["steps"])


def test_the_github_workflow_measures_reports_and_compares_with_its_baseline(
    workplace: Workplace,
) -> None:
    summary = workplace.folder / "summary.md"
    github = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    commands = steps(GITHUB)
    assert workplace.run(commands["Install"], **github).returncode == 0
    assert workplace.asked("pip") == ".[all]\n"
    assert workplace.run(commands["Measure"], **github).returncode == 0
    suite = ElementTree.parse(workplace.folder / "voice.xml").getroot()[0]
    assert suite.get("tests") == "4"
    assert summary.read_text(encoding="utf-8").startswith("# voicebench: ci")
    assert workplace.run(commands["Report"], **github).returncode == 0
    for name in ("voice.html", "voice.md", "benchmark.json", "voice.svg"):
        assert (workplace.folder / name).stat().st_size > 0
    assert workplace.run(commands["Comment on the pull request"], NUMBER="7").returncode == 0
    assert workplace.asked("gh").startswith("pr comment 7 --body-file voice.md")
    quiet(workplace.result())
    assert workplace.run(commands["Make this the baseline"]).returncode == 0
    assert (workplace.folder / "results" / "baseline" / "ci" / "turns.jsonl").is_file()
    first = workplace.result()
    first.rename(first.with_name("20200101T000000Z-ci"))
    done = workplace.run(commands["Measure"], **github)
    assert done.returncode in (0, 3, ExitCode.UNDECIDED)
    judgement = json.loads((workplace.result() / "summary.json").read_text())["judgement"]
    assert judgement["baseline"] == "results/baseline/ci"


NOTHING_LISTENS = "--target\nvoice\n--server\nws://127.0.0.1:9/v1/voice\n"
ARGUMENTS = {0: "", 3: "--gate\nturn.p50 < 1ms\n", 4: NOTHING_LISTENS}


@pytest.mark.parametrize("code", [0, 3, 4])
def test_the_composite_action_reports_and_gives_the_run_s_exit_code(
    workplace: Workplace, code: int
) -> None:
    inputs = {name: str(given.get("default", "")) for name, given in ACTION["inputs"].items()}
    inputs["arguments"] = f"--runs\n3\n{ARGUMENTS[code]}"
    (workplace.folder / "results" / "20200101T000000Z-ci").mkdir(parents=True)  # an earlier run
    inputs["install"] = "voicebench==1"
    output = workplace.folder / "output"
    for step in ACTION["runs"]["steps"]:
        if "run" not in step:
            continue
        environment = {
            name: inputs[found[1]]
            for name, text in step["env"].items()
            if (found := re.search(r"inputs\.(\w+)", text))
        }
        assert set(environment) == set(step["env"])
        done = workplace.run(step["run"], GITHUB_OUTPUT=str(output), **environment)
        assert done.returncode == (code if step["name"] == "Measure" else 0)
        if code == 0 and step["name"] == "Measure":
            return  # The reports are the same as those of a run that fails a gate.
    assert workplace.asked("pip") == "voicebench==1\n"
    made = {path.name for path in (workplace.folder / "voicebench-reports").iterdir()}
    if code == 4:
        assert output.read_text() == "result=\n"
        assert made == {"voicebench.xml"}
        return
    assert output.read_text() == f"result={workplace.result().relative_to(workplace.folder)}\n"
    assert made == {
        *("voicebench.xml", "voicebench.html", "voicebench.md", "voicebench.svg"),
        *("benchmark.json", "result.txt"),
    }


@pytest.mark.parametrize("workflow", [SHORT, CAPACITY])
def test_a_short_workflow_gives_only_inputs_that_the_action_has(
    workflow: dict[str, dict[str, dict[str, list[dict[str, dict[str, str]]]]]],
) -> None:
    ((_, job),) = workflow["jobs"].items()
    (used,) = [step for step in job["steps"] if str(step.get("uses")) == "./"]
    assert set(used["with"]) <= set(ACTION["inputs"])


@pytest.mark.parametrize(("wanted", "code"), [("2", 0), ("9", 2)])
def test_the_gate_on_capacity_passes_only_if_it_is_confirmed(
    workplace: Workplace, wanted: str, code: int
) -> None:
    (used,) = [step for step in CAPACITY["jobs"]["capacity"]["steps"] if step.get("uses") == "./"]
    (measure,) = [step for step in ACTION["runs"]["steps"] if step["name"] == "Measure"]
    arguments = used["with"]["arguments"].replace("--at-least\n2\n", f"--at-least\n{wanted}\n")
    done = workplace.run(
        measure["run"],
        COMMAND=used["with"]["command"],
        CONFIG=used["with"]["config"],
        ARGUMENTS=arguments,
        BASELINE="",
        REPORTS="reports",
        GITHUB_OUTPUT=str(workplace.folder / "output"),
    )
    assert done.returncode == code
    suite = ElementTree.parse(workplace.folder / "reports" / "voicebench.xml").getroot()[0]
    assert suite.get("tests") == "1"
    made = {path.name for path in (workplace.folder / "reports").iterdir()}
    assert ("voicebench.html" in made) == (code == 0)


def test_the_gitlab_job_measures_reports_and_finds_its_baseline(
    workplace: Workplace, tmp_path: Path
) -> None:
    job = GITLAB["voice"]
    gitlab = {
        "CI_API_V4_URL": "https://gitlab.example.org/api/v4",
        "CI_PROJECT_ID": "12",
        "CI_DEFAULT_BRANCH": "main",
        "CI_COMMIT_BRANCH": "mine",
        "CI_JOB_TOKEN": "secret",
    }
    for script in (*job["before_script"], *job["script"], *job["after_script"]):
        assert workplace.run(script, **gitlab).returncode == 0
    assert "/projects/12/jobs/artifacts/main/download?job=voice" in workplace.asked("curl")
    assert not (workplace.folder / "results" / "baseline").exists()
    reports = job["artifacts"]["reports"]
    assert (workplace.folder / reports["metrics"]).read_text().endswith("# EOF\n")
    assert ElementTree.parse(workplace.folder / reports["junit"]).getroot().tag == "testsuites"
    quiet(workplace.result())
    kept = tmp_path / "artifact" / "results" / "baseline" / "ci"
    shutil.copytree(workplace.result(), kept)
    shutil.make_archive(str(workplace.log / "main"), "zip", tmp_path / "artifact")
    first = workplace.result()
    first.rename(first.with_name("20200101T000000Z-ci"))
    done = workplace.run(job["script"][0], **gitlab)
    assert done.returncode in (0, 3, ExitCode.UNDECIDED)
    judgement = json.loads((workplace.result() / "summary.json").read_text())["judgement"]
    assert judgement["baseline"] == "main/results/baseline/ci"


def test_every_command_of_the_tables_is_one_that_exists() -> None:
    from voicebench.cli.report import Format

    named = set(re.findall(r"`voicebench report RESULT --format ([a-z-]+)", PAGE))
    assert named <= {form.value for form in Format}
    assert len(named) >= 6
    options = set(re.findall(r"`(--[a-z-]+)", PAGE))
    parameters = {name.replace("_", "-") for name in run_command.__annotations__}
    parameters |= {name.replace("_", "-") for name in capacity_command.__annotations__}
    known = {*parameters, "json", "format", "adapter", "for"}
    assert {option.removeprefix("--") for option in options} <= known
