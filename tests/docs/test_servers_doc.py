"""Every settings file for a server loads, is described, and names a server that is down."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from loopback import closed_port

from voicebench.cli import main
from voicebench.errors import CannotMeasure
from voicebench.settings import Settings, load_settings
from voicebench.targets.engine_opening import open_remote_llm, open_remote_tts
from voicebench.targets.kinds import check_target, kind_of
from voicebench.targets.whole_turn import WholeTurnKind

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs" / "servers").glob("*.toml"))
PAGE = (ROOT / "docs" / "reference" / "servers.md").read_text(encoding="utf-8")
KEY = "a-key-that-opens-nothing"
each_config = pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)


def peers_of(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return the clients of the settings with a dummy key, without connecting."""
    for section in (settings.llm, settings.tts, settings.server):
        if section.key_env is not None:
            monkeypatch.setenv(section.key_env, KEY)
    check_target(settings)
    kind = kind_of(settings)
    if isinstance(kind, WholeTurnKind):
        return [kind.client(settings)]
    peers: list[object] = []
    if settings.llm.url is not None:
        peers.append(open_remote_llm(settings, None))
    if settings.tts.url is not None:
        peers.append(open_remote_tts(settings, None))
    return peers


def test_every_kind_of_server_that_was_promised_has_a_file() -> None:
    promised = (
        "vllm llama-cpp ollama lm-studio kokoro-fastapi speaches openai openai-realtime elevenlabs"
    )
    promised += " deepgram cartesia tts-stream voicebench-serve-http voicebench-serve-ws"
    assert set(promised.split()) <= {path.stem for path in CONFIGS}


@each_config
def test_it_opens_with_a_key_that_is_never_shown(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peers = peers_of(load_settings(path).settings, monkeypatch)
    assert peers
    for peer in peers:
        assert KEY not in str(peer.describe())  # type: ignore[attr-defined]
        peer.close()  # type: ignore[attr-defined]


@each_config
def test_a_server_that_is_down_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection to a closed port is refused at once, with the URL."""
    settings = load_settings(path).settings
    moved = re.sub(
        r"(https?|wss?)://[^/\"]+",
        lambda url: (
            f"{url[1].replace('https', 'http').replace('wss', 'ws')}://127.0.0.1:{closed_port()}"
        ),
        settings.model_dump_json(exclude_unset=True),
    )
    for peer in peers_of(Settings.model_validate_json(moved), monkeypatch):
        with pytest.raises(CannotMeasure, match=r"127\.0\.0\.1"):
            peer.check()  # type: ignore[attr-defined]
        peer.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "name", ["voicebench-serve-http", "voicebench-serve-ws", "openai-realtime"]
)
def test_a_run_against_a_server_that_is_down_ends_with_exit_code_4_and_its_url(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    host = f"127.0.0.1:{closed_port()}"
    places = {
        "voicebench-serve-http": [f"llm.url=http://{host}/v1", f"tts.url=http://{host}/v1"],
        "voicebench-serve-ws": [f"server.url=ws://{host}/v1/voice"],
        "openai-realtime": [f"server.url=ws://{host}/v1/realtime?model=m"],
    }[name]
    command = ["voicebench", "run", str(ROOT / "configs" / "servers" / f"{name}.toml")]
    command += ["--results", str(tmp_path), "--quiet"]
    for place in places:
        command += ["--set", place]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit) as ended:
        main()
    said = capfd.readouterr().err
    assert ended.value.code == 4
    assert host in said
    assert KEY not in said


@each_config
def test_its_comment_names_the_command_and_what_was_tried(path: Path) -> None:
    comment = "".join(
        line for line in path.read_text(encoding="utf-8").splitlines(True) if line.startswith("#")
    )
    assert f"voicebench run configs/servers/{path.name}" in comment
    keys = {
        section.key_env
        for settings in [load_settings(path).settings]
        for section in (settings.llm, settings.tts, settings.server)
    } - {None}
    assert all(f"export {key}=" in comment for key in keys)


@each_config
def test_the_page_describes_it(path: Path) -> None:
    assert f"`configs/servers/{path.name}`" in PAGE


def test_the_page_names_no_config_that_is_not_there() -> None:
    named = set(re.findall(r"configs/servers/([\w-]+\.toml)", PAGE))
    assert named == {path.name for path in CONFIGS}
