"""Who is let in: the key, the name asked for, pages of other origins."""

from __future__ import annotations

import base64
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from served_somewhere import QUICK, server
from starlette.testclient import TestClient
from websockets import Subprotocol
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from voicebench.events import Token, TurnStarted
from voicebench.server.app import ServeOptions, create_app
from voicebench.server.request_gate import KEY_PROTOCOL, OPEN_PATHS
from voicebench.server.served import ServedScript
from voicebench.turn import wire

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
    for protocol in (None, "voicebench.v1", in_protocol("wrong"), KEY_PROTOCOL + "%"):
        with (
            pytest.raises(InvalidStatus) as refused,
            connect(
                address,
                subprotocols=[Subprotocol(protocol)] if protocol else None,
                compression=None,
            ),
        ):
            pass
        assert refused.value.response.status_code == 403
    offered = [Subprotocol(wire.SUBPROTOCOL), Subprotocol(in_protocol(KEY))]
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


@pytest.mark.parametrize(
    "host",
    ["name@127.0.0.1", "127.0.0.1#name", "127.0.0.1/x", "127.0.0.1?x", "127.0.0.1:99999",
     "127.0.0.1:x", "127.0.0.1 x", "127.0.0.1,localhost", "[::1]x", "[::1%25lo]", "[127.0.0.1]",
     "localhost..", ".localhost", "0x7f.1", "127.1", "2130706433", "evil.example:80@localhost",
     "[::ffff:127.0.0.1]", "localhost\\x", "*", "http://localhost"],
)  # fmt: skip
def test_what_only_ends_like_a_name_of_this_machine_is_refused(url: str, host: str) -> None:
    answer = httpx.get(f"{url}/health", headers={"host": host}, trust_env=False)
    assert answer.status_code == 421
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(url.replace("http", "ws") + "/v1/voice", additional_headers={"Host": host}),
    ):
        pass
    assert refused.value.response.status_code in (400, 403)


@pytest.mark.parametrize(
    "host",
    ["localhost.", "LocalHost.:80", "127.0.0.1:", "127.0.0.1:65535", "[0:0:0:0:0:0:0:1]", "[::1]"],
)
def test_a_name_of_this_machine_is_known_however_it_is_written(url: str, host: str) -> None:
    answer = httpx.get(f"{url}/health", headers={"host": host}, trust_env=False)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "head",
    [
        b"GET /health HTTP/1.1\r\n",
        b"GET /health HTTP/1.0\r\n",
        b"GET /health HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n",
        b"GET /health HTTP/1.1\r\nhost: evil.example\r\nhost: localhost\r\n",
        b"GET /health HTTP/1.1\r\nhost: localhost\xff\r\n",
        b"GET http://localhost/health HTTP/1.1\r\nhost: evil.example\r\n",
    ],
)
def test_a_request_without_one_name_is_refused(url: str, head: bytes) -> None:
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as sock:
        sock.sendall(head + b"connection: close\r\n\r\n")
        assert sock.recv(100).startswith((b"HTTP/1.1 421 ", b"HTTP/1.1 400 "))


@pytest.mark.parametrize("host", ["name@10.0.0.1", "10.0.0.1#x", "a b"])
def test_with_a_key_any_name_will_do_but_it_has_to_be_one(locked: str, host: str) -> None:
    app = create_app(ServedScript(QUICK), ServeOptions(token=KEY, hosts=None))
    with TestClient(app, base_url="http://anything.example") as client:
        assert client.get("/health").status_code == 200
        assert client.get("/health", headers={"host": host}).status_code == 400


PAGES = [
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://localhost:1"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "something-new"},
    {"origin": "https://evil.example", "sec-fetch-site": "none"},
]


@pytest.mark.parametrize("headers", PAGES)
def test_a_page_of_another_origin_gets_nothing_on_any_route(
    url: str, headers: dict[str, str]
) -> None:
    paths = httpx.get(f"{url}/openapi.json", trust_env=False).json()["paths"]
    routes = [(method, path) for path, methods in paths.items() for method in methods]
    assert ("get", "/tts/stream") in routes
    assert ("post", "/v1/chat/completions") in routes
    before = turns_taken(url)
    for method, path in [*routes, ("get", "/openapi.json"), ("options", "/tts/stream")]:
        if path in OPEN_PATHS:
            continue
        answer = httpx.request(method, f"{url}{path}?text=a", headers=headers, trust_env=False)
        assert answer.status_code == 403, (method, path)
        assert answer.json()["error"]["code"] == "wrong_origin"
    assert turns_taken(url) == before


def turns_taken(url: str) -> list[str]:
    lines = httpx.get(f"{url}/metrics", trust_env=False).text.splitlines()
    return [line for line in lines if line.startswith("voicebench_turns_total")]


@pytest.mark.parametrize("path", ["/v1/voice", "/v1/realtime", "/tts/socket"])
@pytest.mark.parametrize("headers", PAGES)
def test_a_page_of_another_origin_opens_no_socket_on_any_route(
    url: str, path: str, headers: dict[str, str]
) -> None:
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(url.replace("http", "ws") + path, additional_headers=headers),
    ):
        pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_our_own_page_and_the_address_bar_take_turns(url: str, site: str) -> None:
    for headers in ({"sec-fetch-site": site}, {"sec-fetch-site": site, "origin": url}):
        answer = httpx.get(f"{url}/tts/stream?text=a", headers=headers, trust_env=False)
        assert answer.status_code == 200
    linked = httpx.get(url, headers={"sec-fetch-site": "cross-site"}, trust_env=False)
    assert linked.status_code == 200  # a link to the page is no turn


def test_a_page_of_another_origin_cannot_open_a_socket(url: str) -> None:
    address = url.replace("http", "ws") + "/v1/voice"
    for origin in ("https://evil.example", "null", "http://localhost:1"):
        with pytest.raises(InvalidStatus) as refused, connect(address, origin=Origin(origin)):
            pass
        assert refused.value.response.status_code == 403
    with connect(address, origin=Origin(url), compression=None, close_timeout=0.2) as own:
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
