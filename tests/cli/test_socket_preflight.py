"""Likely mistakes about a WebSocket, an agent or a plain route are answered before any turn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from loopback import HttpRequest, Peer, closed_port, serving
from ran_command import Command, Ran
from websockets.frames import CloseCode
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from voicebench.agents.pipecat_dialect import MESSAGE, encoded_field, framed, is_frame
from voicebench.errors import UsageError
from voicebench.settings import load_settings
from voicebench.targets import likely_addresses
from voicebench.targets.speech_preflight import check_speech_route

FRAME = framed(MESSAGE, encoded_field(1, b"hello"))


@contextmanager
def sockets(path: str, *, key: str = "", first: str | bytes = "") -> Iterator[str]:
    """Serve WebSockets at one path, with ``first`` as the first words; the URL has no path."""

    def answer(_connection: ServerConnection, request: Request) -> Response | None:
        if key and request.headers.get("Authorization") != f"Bearer {key}":
            return _connection.respond(401, "a key is needed")
        is_there = urlsplit(request.path).path == path
        return None if is_there else _connection.respond(404, "nothing here")

    def talk(connection: ServerConnection) -> None:
        if first:
            connection.send(first)
        for _ in connection:
            pass
        connection.close(CloseCode.NORMAL_CLOSURE)

    import threading

    with serve(talk, "127.0.0.1", 0, process_request=answer, compression=None) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join(5)


@pytest.fixture
def ask(voicebench: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command that must end before it measures anything."""
    monkeypatch.setattr(likely_addresses, "COMMON_PORTS", ())
    monkeypatch.chdir(tmp_path)

    def asked(*arguments: str) -> Ran:
        ran = voicebench(*arguments)
        assert ran.out == ""
        assert ran.code in (2, 4), ran.err
        assert not list(tmp_path.glob("results/*"))
        return ran

    return asked


@pytest.mark.parametrize(
    ("given", "right"),
    [
        ("/v1/v1/voice", "/v1/voice"),
        ("/voice", "/v1/voice"),
        ("/v1", "/v1/voice"),
        ("/v1/realtim", "/v1/realtime"),
        ("", "/v1/realtime"),
        ("/api/realtime?model=a", "/api/v1/realtime?…"),
    ],
)
def test_a_wrong_path_is_answered_with_the_right_one(ask: Command, given: str, right: str) -> None:
    with sockets(right.partition("?")[0]) as url:
        ran = ask("run", "--server", f"{url}{given}")
        assert ran.code == 2
        assert f"opens one: --server {url}{right}" in ran.err


def test_a_misspelt_path_of_an_agent_is_answered_with_the_nearest(ask: Command) -> None:
    with sockets("/v1/realtime") as url:
        ran = ask("call", "--agent", f"{url}/v1/realtim")
        assert f"opens one: --agent {url}/v1/realtime\n" in ran.err
        ran = ask("call", "--agent", f"{url}/v1/realtim", "--set", "call.api=pcm")
        assert "opens one" not in ran.err


def test_a_wrong_scheme_and_a_wrong_port_are_answered_with_the_right_ones(
    ask: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sockets("/v1/call") as url:
        ran = ask("call", "--agent", f"{url.replace('ws', 'wss', 1)}/v1/call")
        assert f"--agent {url}/v1/call\n" in ran.err
        monkeypatch.setattr(likely_addresses, "COMMON_PORTS", (urlsplit(url).port,))
        ran = ask("call", "--agent", f"ws://127.0.0.1:{closed_port()}/v1/call")
        assert ran.code == 4
        assert f"opens one: --agent {url}/v1/call\n" in ran.err


def test_a_missing_and_a_wrong_key_are_named(ask: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "wrong")
    with sockets("/v1/call", key="abc") as url:
        for asked in (("run", "--server", f"{url}/v1/voice"), ("call", "--agent", f"{url}/call")):
            assert "--key-env VARIABLE" in ask(*asked).err
            ran = ask(*asked, "--key-env", "MY_KEY")
            assert "check the key in the environment variable MY_KEY" in ran.err


@pytest.mark.parametrize(
    ("first", "command", "remedy"),
    [
        ('{"type": "session.created"}', "run --runs 1 --server URL/v1/call", "--target realtime"),
        ('{"type": "session.created"}', "call --agent URL/v1/call", "--set call.api=realtime"),
        (FRAME, "call --agent URL/v1/call", "--set call.api=pipecat"),
        (b"\0\0", "call --set call.api=telephony --agent URL/v1/call", "--set call.api=pcm or"),
        (
            '{"type": "error", "error": {"message": "no such voice"}}',
            "run --target realtime --server URL/v1/call",
            "--set server.voice=NAME",
        ),
    ],
)
def test_another_protocol_is_known_by_its_first_words(
    ask: Command, first: str | bytes, command: str, remedy: str
) -> None:
    with sockets("/v1/call", first=first) as url:
        assert remedy in ask(*command.replace("URL", url).split()).err


def test_sound_is_not_taken_for_a_frame() -> None:
    assert is_frame(FRAME)
    for sound in (b"", b"\0\0" * 320, b"\x08\0" * 320, b"\x12\0" * 320, FRAME + FRAME):
        assert not is_frame(sound)


@pytest.mark.parametrize(
    ("status", "remedy"),
    [(404, "--tts-url"), (405, "--set tts.method=POST"), (401, "--set tts.key_env=VARIABLE")],
)
def test_a_plain_route_that_is_not_there_is_refused(status: int, remedy: str) -> None:
    asked: list[HttpRequest] = []

    def script(peer: Peer) -> None:
        asked.append(peer.request())
        peer.head(f"{status} X", content_length="0")

    with serving(script) as server:
        url = f"{server.url}/say?text={{text}}"
        settings = load_settings(None, {"tts.api": "plain", "tts.url": url}).settings
        with pytest.raises(UsageError) as refused:
            check_speech_route(settings)
    assert remedy in str(refused.value)
    assert [one.target for one in asked] == ["/say?text="]
