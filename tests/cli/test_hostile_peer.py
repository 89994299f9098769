"""No key and nothing that a terminal obeys gets out, whatever a server repeats and wherever.

The real command line runs against servers that repeat their key between escape sequences in every
place of every protocol. Then all that was printed and every file of the run folder is searched, and
so is every document that can be made of it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hostile_peers import (
    CHAT,
    HANDSHAKES,
    MODELS,
    REALTIME,
    SPEECH,
    SPEECH_SOCKET,
    VOICE,
    HttpMisdeed,
    handshake_script,
    http_script,
    realtime_greeting,
    socket_script,
    spoken,
    written,
)
from loopback import serving
from searched_output import Searched

from voicebench.turn import wire


def reasons(folder: Path) -> list[str]:
    """Return why each failed turn failed."""
    turns = map(json.loads, (folder / "turns.jsonl").read_text(encoding="utf-8").splitlines())
    return [turn["failure"]["reason"] for turn in turns if turn["failure"]]


def test_a_chat_route_that_repeats_the_key(searched: Searched) -> None:
    with serving(http_script(CHAT, ())) as server:
        settings = _cascade(server.url)
        assert searched.run(*settings, turns=len(CHAT)) in (0, 3, 5)
    folder = searched.search_results()
    said = reasons(folder)
    assert len(said) >= len(CHAT) - 2  # one is a reply that goes on behind an odd chunk
    assert any("***" in reason for reason in said)
    assert all("127.0.0.1" in reason for reason in said), said
    # What was written is on record as it was, but for the key.
    recorded = (folder / "turns.jsonl").read_text(encoding="utf-8")
    assert "\\u001b" in recorded
    assert "\\u202e" in recorded


def test_a_speech_route_that_repeats_the_key(searched: Searched) -> None:
    with serving(http_script((), SPEECH)) as server:
        searched.run(*_cascade(server.url), turns=len(SPEECH))
    folder = searched.search_results()
    assert len(reasons(folder)) >= len(SPEECH) - 4


def test_a_plain_route_that_repeats_the_key(searched: Searched) -> None:
    with serving(http_script((), SPEECH)) as server:
        settings = [f"llm.url='{server.url}/v1'", "llm.model='m'", "llm.key_env='SOME_KEY'"]
        settings += ["tts.api='plain'", "tts.key_env='SOME_KEY'", "tts.key_scheme=''"]
        settings += [f"tts.url='{server.url}/speech?text={{text}}'", "tts.key_header='X-Key'"]
        searched.run(*_set(settings), turns=len(SPEECH))
    searched.search_results()


def test_a_speech_socket_that_repeats_the_key(searched: Searched) -> None:
    with (
        serving(http_script((), ())) as chat,
        serving(socket_script(SPEECH_SOCKET)) as server,
    ):
        settings = [f"llm.url='{chat.url}/v1'", "llm.model='m'", "tts.api='socket'"]
        settings += [f"tts.url='ws://127.0.0.1:{server.port}'", "tts.key_env='SOME_KEY'"]
        settings += ["tts.socket={chunk='{text}', done={done=true}}", "tts.sample_rate=16000"]
        settings += ["wire.between_bytes_s=0.3", "wire.first_byte_s=0.3", "tts.format='pcm'"]
        searched.run(*_set(settings), turns=len(SPEECH_SOCKET))
    assert len(reasons(searched.search_results())) >= len(SPEECH_SOCKET) - 1


@pytest.mark.parametrize("path", ["/v1/voice", "/v1/realtime"])
def test_a_socket_of_whole_turns_that_repeats_the_key(searched: Searched, path: str) -> None:
    if "voice" in path:
        misdeeds, script = VOICE, socket_script(VOICE, subprotocols=[wire.SUBPROTOCOL])
    else:
        misdeeds, script = REALTIME, socket_script(REALTIME, realtime_greeting)
    with serving(script) as server:
        settings = ["server.key_env='SOME_KEY'", "wire.between_bytes_s=0.3", "wire.first_byte_s=1"]
        address = f"ws://127.0.0.1:{server.port}{path}"
        searched.run("--server", address, *_set(settings), turns=len(misdeeds))
    folder = searched.search_results()
    assert len(reasons(folder)) >= len(misdeeds) - 2


@pytest.mark.parametrize("number", range(len(MODELS)))
def test_a_list_of_models_that_repeats_the_key(searched: Searched, number: int) -> None:
    with serving(http_script((), MODELS[number : number + 1])) as server:
        settings = [f"llm.url='{server.url}/v1'", "llm.key_env='SOME_KEY'"]
        assert searched.run(*_set(settings)) in (2, 4)


@pytest.mark.parametrize("number", range(len(HANDSHAKES)))
def test_a_handshake_that_repeats_the_key(searched: Searched, number: int) -> None:
    misdeed: HttpMisdeed = HANDSHAKES[number]
    with serving(handshake_script(misdeed)) as server:
        address = f"ws://127.0.0.1:{server.port}/v1/voice"
        assert searched.run("--server", address, *_set(["server.key_env='SOME_KEY'"])) == 4


def test_what_is_said_of_a_good_turn_is_searched_too(searched: Searched) -> None:
    with serving(http_script([written], [spoken])) as server:
        assert searched.run(*_cascade(server.url), "--no-gate") in (0, 5)
    folder = searched.search_results()
    assert not reasons(folder)
    assert "***" in (folder / "turns.jsonl").read_text(encoding="utf-8")


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_reply_that_is_printed_as_it_comes_shows_no_key(
    searched: Searched, tmp_path: Path, more: tuple[str, ...]
) -> None:
    output = ("-o", str(tmp_path / "said.wav"), "--ask", "What is the key?", *more)
    with serving(http_script([written], [spoken])) as server:
        assert searched.say("say", *output, *_cascade(server.url)) == 0
    with serving(http_script(CHAT[:1], ())) as server:
        assert searched.say("say", *output, "--force", *_cascade(server.url)) == 4


def _cascade(url: str) -> tuple[str, ...]:
    settings = [f"llm.url='{url}/v1'", "llm.model='m'", "llm.key_env='SOME_KEY'"]
    settings += [f"tts.url='{url}/v1'", "tts.model='m'", "tts.voice='v'", "tts.key_env='SOME_KEY'"]
    settings += ["wire.between_bytes_s=2", "wire.first_byte_s=2", "wire.turn_s=5"]
    settings += ["wire.preflight=false"]  # the scripts are of turns
    return _set(settings)


def _set(settings: Sequence[str]) -> tuple[str, ...]:
    return tuple(part for setting in settings for part in ("--set", setting))
