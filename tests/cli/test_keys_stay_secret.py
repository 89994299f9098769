"""A key that is set goes to the server and nowhere else, whatever the target is."""

from __future__ import annotations

import pytest
from hostile_peers import HEADS, KEY, http_script, spoken, written
from loopback import serving
from searched_output import Searched

from voicebench.cli import shown

QUICK = ("--target", "sim:ttft=5ms,token=1ms,ttfb=5ms,speed=50x", "--no-gate")
IN_PLACES = (
    f"llm.extra={{api_key='{KEY}', nested={{password='{KEY}'}}}}",
    f"tts.extra={{token='{KEY}'}}",
    f'tts.body=\'{{"text": "{{text}}", "key": "{KEY}"}}\'',
    f"tts.socket={{opening=[{{xi_api_key='{KEY}'}}], chunk='{{text}}', done={{x=1}}}}",
    f"llm.url='http://me:{KEY}@127.0.0.1:1/v1'",
    f"tts.url='http://127.0.0.1:1/v1?api_key={KEY}'",
    f"server.url='ws://127.0.0.1:1/#token={KEY}'",
    f"wire.proxy='http://me:{KEY}@127.0.0.1:1'",
    f"llm.headers={{x-anything='{KEY}'}}",
)
REFUSED = (
    f"tts.headers={{Authorization='Bearer {KEY}'}}",
    f"llm.headers={{x-api-key='{KEY}'}}",
    f"server.headers={{Cookie='{KEY}'}}",
    f"llm.key_env='{KEY}'",
    f"llm.extra={{api_key='{KEY}'",
    f"tts.headers={{a=['{KEY}'], Authorization=1}}",
    f"api_key:{KEY}",
    f"llm.url=['http://me:{KEY}@h']",
)


@pytest.mark.parametrize("setting", IN_PLACES)
def test_a_key_in_a_setting_of_a_simulated_target_is_kept_nowhere(
    searched: Searched, setting: str
) -> None:
    assert searched.run(*QUICK, "--set", setting) in (0, 5)
    searched.search_results()


@pytest.mark.parametrize("setting", REFUSED)
@pytest.mark.parametrize("target", [QUICK, (), ("--server", "ws://127.0.0.1:1")])
def test_a_key_where_none_belongs_is_refused_and_not_shown(
    searched: Searched, setting: str, target: tuple[str, ...]
) -> None:
    assert searched.run(*target, "--set", setting) == 2


@pytest.mark.parametrize("setting", IN_PLACES)
def test_the_settings_are_listed_without_keys(searched: Searched, setting: str) -> None:
    assert searched.say("config", "--set", setting) == 0
    assert searched.say("config", "--set", setting, "--json") == 0


@pytest.mark.parametrize(
    "url",
    [
        f"http://me:{KEY}@127.0.0.1:1",
        f"http://me:{KEY}@[::zz]/v1",
        f"http://me:{KEY}@host:port/",
        f"http://127.0.0.1:1/v1?api_key={KEY}",
        f"ws://127.0.0.1:1/v1/voice?token={KEY}",
        f"http:/me:{KEY}@host",
        f"http://[{KEY}@",
    ],
)
def test_a_server_that_is_named_with_a_key_is_refused_without_showing_it(
    searched: Searched, url: str
) -> None:
    assert searched.run("--server", url) == 2


def test_a_key_in_the_body_reaches_the_server_and_nobody_else(searched: Searched) -> None:
    with serving(http_script([written], [spoken])) as server:
        settings = [f"llm.url='{server.url}/v1'", "llm.model='m'", f"llm.extra={{api_key='{KEY}'}}"]
        settings += [f"tts.url='{server.url}/v1'", "tts.model='m'", "tts.voice='v'"]
        options = [part for setting in settings for part in ("--set", setting)]
        assert searched.run(*options, "--no-gate") in (0, 5)
        assert server.requests[0].json["api_key"] == KEY
    searched.search_results()


def test_redirects_that_are_followed_show_no_key_either(searched: Searched) -> None:
    with serving(http_script(HEADS, ())) as server:
        settings = [f"llm.url='{server.url}/v1'", "llm.model='m'", "llm.key_env='SOME_KEY'"]
        settings += [f"tts.url='{server.url}/v1'", "tts.model='m'", "tts.voice='v'"]
        settings += ["wire.redirects=true", "wire.first_byte_s=2"]
        options = [part for setting in settings for part in ("--set", setting)]
        searched.run(*options, turns=len(HEADS))
    searched.search_results()


def test_what_a_command_was_told_is_forgotten_by_the_next(searched: Searched) -> None:
    searched.say("config", "--set", f"wire.proxy='http://me:{KEY}@h'")
    assert shown.shown(KEY) == "***"
    searched.say("config")
    assert shown.shown(KEY) == KEY
