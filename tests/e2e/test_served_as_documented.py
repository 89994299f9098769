"""`voicebench serve` on the embedded models, as docs/how-to/serve.md says: curl, openai, run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam
from served_process import served_models

from voicebench.audio.pcm import AudibleRule, first_audible_sample
from voicebench.audio.wav import WavStream

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "serve.md").read_text(encoding="utf-8")
DOCUMENTED = "http://127.0.0.1:8765"
COMMANDS = [
    command
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    for command in re.split(r"^\$ ", block, flags=re.MULTILINE)
    if command.startswith("curl ")
]
MODEL, VOICE = "smollm2-135m-instruct", "hibari-heart"
pytestmark = [pytest.mark.models, pytest.mark.slow]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served_models() as url:
        yield url


def typed(command: str, url: str, folder: Path) -> bytes:
    """Run a command of the page, as a shell does, against the server at ``url``."""
    # What plays sound is not part of the answer, nor is it on every machine.
    command = command.replace(DOCUMENTED, url).replace("| aplay", "")
    done = subprocess.run(
        ["bash", "-c", command.replace("curl ", "curl --silent --show-error --fail ", 1)],
        cwd=folder,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def is_audible(wav: bytes) -> bool:
    stream = WavStream()
    pcm = stream.feed(wav)
    assert stream.sample_rate == 24_000
    return first_audible_sample(pcm, stream.sample_rate, AudibleRule()) is not None


def command_with(part: str) -> str:
    (command,) = (command for command in COMMANDS if part in command)
    return command


def test_every_route_of_the_table_that_takes_a_plain_request_has_its_command() -> None:
    for route in ("/tts/stream", "/v1/models", "/v1/chat/completions", "/v1/audio/speech"):
        assert command_with(route)


def test_the_page_s_commands_for_speech_give_speech(url: str, tmp_path: Path) -> None:
    assert is_audible(typed(command_with("/tts/stream"), url, tmp_path))
    assert typed(command_with("/v1/audio/speech"), url, tmp_path) == b""
    assert is_audible((tmp_path / "hello.wav").read_bytes())


def test_the_page_s_command_for_a_reply_gives_it_token_by_token(url: str, tmp_path: Path) -> None:
    events = typed(command_with("/v1/chat/completions"), url, tmp_path).decode().split("\n\n")
    assert events[-2] == "data: [DONE]"
    deltas = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    tokens = [delta["choices"][0]["delta"].get("content") for delta in deltas]
    assert "Paris" in "".join(filter(None, tokens))
    assert len(list(filter(None, tokens))) > 3


def test_the_page_s_other_commands_answer(url: str, tmp_path: Path) -> None:
    listed = json.loads(typed(command_with("/v1/models"), url, tmp_path))
    assert [model["id"] for model in listed["data"]] == [MODEL, VOICE]
    assert json.loads(typed(command_with("/health"), url, tmp_path))["status"] == "ok"


def test_the_page_s_program_prints_the_reply(url: str) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", program.replace(DOCUMENTED, url)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "Paris" in done.stdout


def test_a_conversation_goes_on_from_what_was_said(url: str) -> None:
    said: list[ChatCompletionMessageParam] = [
        {"role": "user", "content": "My cat is called Bruno."},
        {"role": "assistant", "content": "Bruno is a nice name for a cat."},
        {"role": "user", "content": "What is the name of my cat?"},
    ]
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        alone = client.chat.completions.create(model=MODEL, messages=said[-1:])
        after = client.chat.completions.create(model=MODEL, messages=said)
    assert "Bruno" in str(after.choices[0].message.content)
    assert "Bruno" not in str(alone.choices[0].message.content)
    assert after.usage is not None
    assert alone.usage is not None
    assert after.usage.prompt_tokens > alone.usage.prompt_tokens + 10


@pytest.mark.parametrize("scheme", ["http", "ws"])
def test_it_can_be_measured_by_its_address_alone(url: str, scheme: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "voicebench", "run", "--json", "--no-gate", "--allow-noise"]
    command += ["--server", url.replace("http", scheme, 1), "--runs", "2", "--warmup", "0"]
    done = subprocess.run(
        [*command, "--results", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["turns"]["failed"] == 0
    assert document["metrics"]["first_audio_ms"]["n"] == 2


def test_openapi_names_every_http_route_of_the_table(url: str) -> None:
    paths = httpx.get(f"{url}/openapi.json", trust_env=False).json()["paths"]
    named = re.findall(r"`(?:GET|POST) (/[^`?]*)", PAGE.split("## What a request")[0])
    assert set(named) - {"/", "/openapi.json"} <= set(paths)
