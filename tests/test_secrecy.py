"""What a key is found by, and what is none."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebench.secrecy import HIDDEN, Secrets
from voicebench.secret_names import (
    hidden_by_name,
    hidden_in_url,
    hidden_in_urls,
    hidden_in_words,
    looks_like_key,
    names_secret,
    secret_values,
    secrets_in_url,
)

KEY = 'Zx9"k/7+Lm&3=Qw\\5v'


@pytest.mark.parametrize(
    "written",
    [
        KEY,
        KEY.lower(),
        KEY.upper(),
        quote(KEY, safe=""),
        quote_plus(KEY),
        json.dumps(KEY),
        KEY.encode().hex(),
        *(base64.b64encode(b"x" * before + KEY.encode()).decode() for before in range(4)),
        base64.urlsafe_b64encode(b"me:" + KEY.encode() + b"\xff\xff").decode(),
    ],
)
def test_a_key_is_found_however_it_is_written(written: str) -> None:
    hidden = Secrets([KEY]).hidden_in(f"before {written} after")
    assert HIDDEN in hidden
    assert hidden.startswith("before ")
    assert hidden.endswith(" after")
    # Of base64 the letters at both ends stay: they also hold what stands beside the key.
    assert len(hidden) <= len("before  after") + len(HIDDEN) + 9


@given(st.text(max_size=30), st.integers(0, 8), st.text(max_size=30))
def test_any_eight_letters_of_a_key_in_a_row_give_it_away(
    before: str, begin: int, after: str
) -> None:
    part = KEY[begin : begin + 8]
    assert part not in Secrets([KEY]).hidden_in(f"{before}{part}{after}")


def test_a_short_key_is_found_as_a_whole_word_alone() -> None:
    secrets = Secrets(["s3cret"])
    assert secrets.hidden_in("no s3cret, not 's3cret'") == f"no {HIDDEN}, not '{HIDDEN}'"
    assert secrets.hidden_in("s3crets") == "s3crets"


@pytest.mark.parametrize("word", ["EMPTY", "none", "ollama", "lm-studio", "not-needed", "abc", ""])
def test_what_people_give_to_servers_that_check_no_key_is_no_secret(word: str) -> None:
    assert not Secrets([word])
    assert Secrets([word]).hidden_in(f"a {word} b") == f"a {word} b"


def test_the_secrets_are_in_no_repr() -> None:
    assert KEY not in repr(Secrets([KEY]))
    assert bool(Secrets([KEY]) | Secrets(["another-key-1"]))
    both = Secrets([KEY]) | Secrets(["another-key-1"])
    assert both.hidden_in(f"{KEY} another-key-1") == f"{HIDDEN} {HIDDEN}"


@given(st.lists(st.text(max_size=6), max_size=8), st.integers(0, 20), st.integers(0, 20))
def test_a_key_in_parts_is_found_and_no_part_is_left_empty(
    around: list[str], first: int, second: int
) -> None:
    first, second = sorted((first, second))
    cut = [KEY[:first], KEY[first:second], KEY[second:]]
    parts = [*around, *cut, *around]
    hidden = Secrets([KEY]).hidden_in_parts(parts)
    assert len(hidden) == len(parts)
    assert KEY not in "".join(hidden)
    assert [bool(part) for part in hidden] == [bool(part) for part in parts]


def test_parts_without_a_key_stay_as_they_are() -> None:
    parts = ["It ", "is ", "", "fine."]
    assert Secrets([KEY]).hidden_in_parts(parts) == parts


@pytest.mark.parametrize(
    "name",
    ["api_key", "apiKey", "X-API-Key", "xi-api-key", "xi_api_key", "Authorization", "password",
     "accessToken", "X-Amz-Signature", "Ocp-Apim-Subscription-Key", "client_secret", "Cookie",
     "x-goog-api-key", "authToken", "APIKEY", "Proxy-Authorization"],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert names_secret(name)


@pytest.mark.parametrize(
    "name",
    ["max_tokens", "monkey", "keyboard", "prompt_cache_key", "eos_token", "model", "voice_id",
     "stop_token_ids", "public_key", "author", "design", "context_id"],
)  # fmt: skip
def test_names_of_no_secrets(name: str) -> None:
    assert not names_secret(name)


@pytest.mark.parametrize(
    ("key", "is_one"),
    [
        ("sk-not-to-be-seen-1", True),
        ("Bearer abcdefgh", True),
        ("hf_abcdefghijklmnop", True),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.c2ln", True),
        ("sk-1", False),
        ("f786b574-daa5-4673-aa0c-cbe3e8534c02", False),
        ("Qwen2.5-7B-Instruct-GPTQ-Int4", False),
        ("a bearer of good news", False),
    ],
)
def test_what_services_give_out_as_keys_is_known_by_its_looks(key: str, is_one: bool) -> None:
    assert looks_like_key(key) is is_one


def test_a_table_is_shown_without_what_its_names_say_is_secret() -> None:
    table = {
        "model": "m",
        "max_tokens": 5,
        "api_key": "abcd1234",
        "auth": {"user": "me", "pin": 4711},
        "list": [{"password": "efgh5678"}, "plain"],
        "text": '{"xi_api_key": "ijkl9012", "text": "{text}"}',
        "form": "text={text}&key=mnop3456&voice=a",
        "empty": {"token": None, "key": ""},
    }
    shown = json.dumps(hidden_by_name(table))
    values = list(secret_values(table))
    for secret in ("abcd1234", "4711", "efgh5678", "ijkl9012", "mnop3456"):
        assert secret not in shown
        assert secret in values
    for plain in ("max_tokens", "plain", "text={text}&key=***&voice=a", "api_key"):
        assert plain in shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
        ("http://h/tts?text={text}&key={key}", "http://h/tts?text={text}&key={key}"),
        ("http://h:80/@me/x?y=1", "http://h:80/@me/x?y=1"),
        ("http://me:s3cret@h/v1", "http://***@h/v1"),
        ("http://s3cret@h/", "http://***@h/"),
        ("http://me:s3@cret@h/", "http://***@h/"),
        ("http://me:s3/cret@h/", "http://***@h/"),
        ("http://h/v1?api%5Fkey=s3cret&x=1", "http://h/v1?api%5Fkey=***&x=1"),
        ("http://h/v1#access_token=s3cret", "http://h/v1#access_token=***"),
        ("http://h/v1?code=sk-abcdefghijklm", "http://h/v1?code=***"),
        ("me:s3cret@h", "***@h"),
        ("http://[bad:me:s3cret@h", "http://***@h"),
    ],
)
def test_a_url_is_shown_without_user_and_keys(url: str, shown: str) -> None:
    assert hidden_in_url(url) == shown


def test_urls_in_a_text_are_shown_without_user_and_keys() -> None:
    told = (
        "403 for 'https://me:s3@cret@h/x' and https://h/?token=abc then http://h:80/me@home (again)"
    )
    assert hidden_in_urls(told) == (
        "403 for 'https://***@h/x' and https://h/?token=*** then http://h:80/me@home (again)"
    )
    several = "git+https://s3cret@h/x,https://me:s3cret@h or //me:s3cret@h; no // comment"
    assert hidden_in_urls(several) == "git+https://***@h/x,https://***@h or //***@h; no // comment"


def test_the_secrets_of_a_url_are_known_as_written_and_as_they_read() -> None:
    assert set(secrets_in_url("http://me:s3%2Fcret@h/?key=a%20b&x=1")) == {
        "s3%2Fcret", "s3/cret", "a%20b", "a b",
    }  # fmt: skip
    assert list(secrets_in_url("http://h/?key={text}")) == []


def test_words_keep_everything_that_is_no_secret() -> None:
    assert hidden_in_words("key: the C major, time: 5") == "key: *** C major, time: 5"
    assert hidden_in_words("https://h:1/?a=b") == "https://h:1/?a=b"
