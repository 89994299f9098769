"""Keys known by a variable's name, and addresses that hold no secret."""

from __future__ import annotations

import pytest

from voicebench.errors import UsageError
from voicebench.remote.connection.access import Access, ApiKey, address_of, base_of, below, shown

SECRET = "sk-not-to-be-seen"


def test_the_key_comes_from_the_variable_into_the_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", f" {SECRET}\n")
    assert Access(key=ApiKey("SOME_KEY")).request_headers() == {"Authorization": f"Bearer {SECRET}"}
    own_header = ApiKey("SOME_KEY", header="xi-api-key", scheme="")
    assert Access(key=own_header).request_headers() == {"xi-api-key": SECRET}


def test_the_key_is_in_no_description_and_no_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", SECRET)
    access = Access(key=ApiKey("SOME_KEY"), headers={"x-team": "private matter"})
    access.request_headers()
    shown_of_it = f"{access!r} {access.describe()!r}"
    assert SECRET not in shown_of_it
    assert access.describe()["key_variable"] == "SOME_KEY"
    assert "private matter" not in repr(access.describe())


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    with pytest.raises(UsageError, match="SOME_KEY is not set"):
        ApiKey("SOME_KEY").value()


def test_a_key_that_could_be_a_name_is_not_shown_either(monkeypatch: pytest.MonkeyPatch) -> None:
    key = "a1b2c3d4e5f6a7b8c9d0e1f2"
    with pytest.raises(UsageError, match=r"\*\*\* is not set") as caught:
        ApiKey(key).value()
    assert key not in str(caught.value)


@pytest.mark.parametrize("key", ["two\nlines", "umläut"])
def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", key)
    with pytest.raises(UsageError, match="SOME_KEY cannot be sent") as caught:
        ApiKey("SOME_KEY").value()
    assert key not in str(caught.value)


def test_a_key_put_where_its_variables_name_belongs_is_refused_without_being_shown() -> None:
    with pytest.raises(UsageError, match="not the name of an environment variable") as caught:
        ApiKey(SECRET)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", ["Authorization", "X-API-Key", "xi-api-key", "Cookie", "X-Token"])
def test_a_key_in_a_plain_header_is_refused_without_being_shown(name: str) -> None:
    with pytest.raises(UsageError, match="in plain text") as caught:
        Access(headers={name: SECRET}).request_headers()
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("value", ["a\r\nb: c", "é", ""])
def test_a_header_that_cannot_be_sent_is_named(value: str) -> None:
    with pytest.raises(UsageError, match="'x-team' cannot be sent"):
        Access(headers={"x-team": value}).request_headers()


@pytest.mark.parametrize(
    ("url", "host", "port", "tls"),
    [
        ("http://127.0.0.1:8000/v1", "127.0.0.1", 8000, False),
        ("https://api.example.org/v1", "api.example.org", 443, True),
        ("http://[::1]:9/", "::1", 9, False),
    ],
)
def test_an_address_is_host_port_and_whether_tls(url: str, host: str, port: int, tls: bool) -> None:
    address = address_of(url, "http", "https")
    assert (address.host, address.port, address.tls) == (host, port, tls)


@pytest.mark.parametrize(
    "url",
    ["", "localhost:8000", "ftp://host", "ws://host", "http://", "http://host:99999", "http://[x",
     "http://a b/", "http://host/\x1b[2J"],
)  # fmt: skip
def test_what_is_no_url_of_the_scheme_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(UsageError, match=r"http://127\.0\.0\.1:8000") as caught:
        address_of(url, "http", "https")
    assert "\x1b" not in str(caught.value)


def test_a_password_in_the_url_is_refused_without_being_shown() -> None:
    with pytest.raises(UsageError, match="a name or a password") as caught:
        address_of(f"http://me:{SECRET}@host/", "http")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "query", ["api_key=sk-1", "model=x&key=sk-1", "accessToken=sk-1", "X-Amz-Signature=sk-1"]
)
def test_a_key_in_the_urls_query_is_refused_without_being_shown(query: str) -> None:
    with pytest.raises(UsageError, match="has a key in its query") as caught:
        address_of(f"https://host/v1?{query}", "https")
    assert "sk-1" not in str(caught.value)
    assert "key_env" in str(caught.value)


@pytest.mark.parametrize("query", ["max_tokens=9&monkey=1", "api-version=2", "token={text}", "key"])
def test_what_only_looks_a_little_like_a_key_is_let_through(query: str) -> None:
    assert address_of(f"https://host/v1?{query}", "https").host == "host"


@pytest.mark.parametrize(
    ("url", "base", "whole"),
    [
        ("http://h/v1", "http://h/v1", "http://h/v1/chat"),
        ("http://h/v1/", "http://h/v1", "http://h/v1/chat"),
        ("http://h/v1/chat", "http://h/v1", "http://h/v1/chat"),
        (
            "http://h/v1?api-version=2",
            "http://h/v1?api-version=2",
            "http://h/v1/chat?api-version=2",
        ),
    ],
)
def test_a_path_goes_below_the_base_and_before_the_query(url: str, base: str, whole: str) -> None:
    assert base_of(url, "/chat") == base
    assert below(base, "/chat") == whole


def test_a_url_is_shown_without_user_query_and_fragment() -> None:
    assert shown(f"wss://me:{SECRET}@host:1/path?key={SECRET}#x") == "wss://host:1/path"
