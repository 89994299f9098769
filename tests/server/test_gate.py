"""Who is let in: the key, the name asked for, pages of other origins."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import httpx
import pytest
from served_somewhere import QUICK, server
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from voicebench import wire
from voicebench.events import Token, TurnStarted
from voicebench.server.gate import KEY_PROTOCOL, OPEN_PATHS

KEY = "s3cret~key"


@pytest.fixture(scope="module")
def locked() -> Iterator[str]:
    with server(QUICK, token=KEY) as url:
        yield url


def in_protocol(key: str) -> str:
    return KEY_PROTOCOL + base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": "Bearer"},
        {"authorization": f"Basic {base64.b64encode(b's3cret').decode()}"},
        {"authorization": "s3cret"},
    ],
)
@pytest.mark.parametrize(
    "path",
    ["/v1/models", "/metrics", "/openapi.json", "/tts/stream?text=a", "/nowhere", "//health"],
)
def test_without_the_key_nothing_is_told(locked: str, path: str, headers: dict[str, str]) -> None:
    answer = httpx.get(locked + path, headers=headers, trust_env=False)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"]["code"] == "invalid_api_key"


def test_with_the_key_everything_is_done(locked: str) -> None:
    headers = {"authorization": f"bearer {KEY}"}
    assert httpx.get(f"{locked}/v1/models", headers=headers, trust_env=False).status_code == 200
    answer = httpx.get(f"{locked}/tts/stream?text=a", headers=headers, trust_env=False)
    assert answer.status_code == 200


def test_the_page_and_the_health_need_no_key(locked: str) -> None:
    for path in OPEN_PATHS:
        assert httpx.get(locked + path, trust_env=False).status_code == 200, path


@pytest.mark.parametrize("path", ["/v1/voice", "/v1/realtime", "/tts/socket"])
def test_a_socket_needs_the_key_in_a_header_or_in_a_protocol(locked: str, path: str) -> None:
    address = locked.replace("http", "ws") + path
    for protocols in (None, ["voicebench.v1"], [in_protocol("wrong")], [KEY_PROTOCOL + "%"]):
        with (
            pytest.raises(InvalidStatus) as refused,
            connect(address, subprotocols=protocols, compression=None),
        ):
            pass
        assert refused.value.response.status_code == 403
    offered = [wire.SUBPROTOCOL, in_protocol(KEY)]
    with connect(address, subprotocols=offered, compression=None) as client:
        # The key is never said again.
        assert client.subprotocol in (None, wire.SUBPROTOCOL)


def test_a_name_that_is_not_this_machines_is_refused(url: str) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example", "", "[::1"):
        answer = httpx.get(f"{url}/health", headers={"host": host}, trust_env=False)
        assert answer.status_code == 421, host
    for host in ("localhost", "LOCALHOST:99", "127.0.0.1:1", "[::1]:80"):
        answer = httpx.get(f"{url}/health", headers={"host": host}, trust_env=False)
        assert answer.status_code == 200, host


def test_a_page_of_another_origin_cannot_open_a_socket(url: str) -> None:
    address = url.replace("http", "ws") + "/v1/voice"
    for origin in ("https://evil.example", "null", "http://localhost:1"):
        with pytest.raises(InvalidStatus) as refused, connect(address, origin=origin):
            pass
        assert refused.value.response.status_code == 403
    with connect(address, origin=url, compression=None, close_timeout=0.2) as own:
        own.send(wire.encode(TurnStarted("hello")))
        assert isinstance(wire.decode(own.recv(5)), Token)


def test_a_page_of_another_origin_cannot_post_a_form(url: str) -> None:
    answer = httpx.post(
        f"{url}/tts/stream",
        content='{"text": "hello"}',
        headers={"content-type": "text/plain"},
        trust_env=False,
    )
    assert answer.status_code == 400
