"""Before any turn: does a voice behind a plain route or a WebSocket answer there?

A plain route is asked for an empty text. One whose text is a part of its path cannot be asked so.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from urllib.parse import urlsplit

from voicebench.errors import EngineError, UsageError, VoicebenchError
from voicebench.remote.clients.plain_speech import PLACE
from voicebench.remote.connection.access import shown
from voicebench.remote.connection.http import HttpService
from voicebench.remote.formats.template import filled
from voicebench.settings import Settings
from voicebench.targets.preflight import PATIENCE
from voicebench.targets.reaching import access_to
from voicebench.targets.socket_preflight import AskedSocket, explain_socket


def check_speech_route(settings: Settings) -> None:
    """Raise `UsageError` for a plain route that is missing, or refuses the method or the key.

    Any other answer is left to the first turn, and so is a server that says nothing in time.
    """
    tts = settings.tts
    url = tts.url or ""
    if tts.api != "plain" or tts.url is None or PLACE in urlsplit(url).path:
        return
    access = replace(access_to(tts, settings), deadline=None, timeouts=PATIENCE)
    asked = url.replace(PLACE, "")
    body = filled(tts.body, {"text": ""})
    is_text = isinstance(body, str)
    try:
        service = HttpService(asked, access, "tts")
        with (
            closing(service),
            service.exchange(
                tts.method,
                asked,
                json=None if is_text else body,
                content=str(body).encode() if is_text else None,
                headers={"content-type": tts.content_type} if is_text else None,
            ) as answer,
        ):
            status = answer.status
    except EngineError:
        return
    where = f"{shown(asked)} answers {status}"
    if status in (401, 403):
        key = access.key
        raise UsageError(
            where,
            "name the environment variable with the key: --set tts.key_env=VARIABLE"
            if key is None
            else f"check the key in the environment variable {key.variable}",
        )
    if status in (405, 501):
        other = "POST" if tts.method == "GET" else "GET"
        raise UsageError(
            f"{where} to {tts.method}", f"does it take {other}? --set tts.method={other}"
        )
    if status == 404:
        raise UsageError(
            f"{where}: the server has no speech route there",
            "check the path: --tts-url 'http://HOST:PORT/PATH?text={text}'",
        )


def explain_speech(error: VoicebenchError, settings: Settings) -> VoicebenchError:
    """Return an error of connecting to a voice's WebSocket, with the address that opens one."""
    tts = settings.tts
    if tts.api != "socket" or tts.url is None or not settings.wire.preflight:
        return error
    if shown(tts.url) not in error.message:
        return error
    asked = AskedSocket(tts.url, access_to(tts, settings), "--set tts.url=", ("/tts/socket",))
    return explain_socket(error, asked)
