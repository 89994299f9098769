"""Before any turn: do the routes exist, is the key accepted, are model and voice served?

A server that speaks OpenAI's protocol is asked for its models, and each route gets a request that
it must refuse (without messages, without a text): a route that exists says so, and nothing is
computed. For a wrong address, the likely right ones are tried, so that the error can name the
option that mends it. What cannot be found out is left to the first turn.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import urlsplit

from voicebench.errors import CannotMeasure, EngineError, UsageError, VoicebenchError
from voicebench.quoting import quote
from voicebench.remote.clients.offered_models import Offered, offered_models
from voicebench.remote.clients.openai_speech import WELL_KNOWN_MODEL
from voicebench.remote.connection.access import Access, base_of, below, shown
from voicebench.remote.connection.http import HttpService
from voicebench.remote.connection.timeouts import Timeouts
from voicebench.settings import Settings
from voicebench.targets.likely_addresses import elsewhere, other_bases, other_scheme
from voicebench.targets.reaching import access_to

CHAT_ROUTE = "/chat/completions"
SPEECH_ROUTE = "/audio/speech"

_NO_ROUTE = (404, 405, 501)
_NO_KEY = (401, 403)
_MOST_NAMES = 6
PATIENCE = Timeouts(3.0, 3.0, 3.0, 6.0)
"""The limits of each question."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One engine behind OpenAI's protocol, and the options that name its parts."""

    section: Literal["llm", "tts"]
    base: str
    route: str
    access: Access
    url_option: str
    key_option: str = "--key-env "

    @property
    def url(self) -> str:
        """The address of its route."""
        return below(self.base, self.route)


def sides_of(settings: Settings, *, voice_only: bool) -> list[Asked]:
    """Return the engines of a cascade that are behind OpenAI's protocol."""
    sides: list[Asked] = []
    llm, tts = settings.llm, settings.tts
    is_one = llm.url == tts.url

    def side(section: Literal["llm", "tts"], url: str, route: str) -> Asked:
        own = getattr(settings, section)
        return Asked(
            section,
            base_of(url, route),
            route,
            access_to(own, settings),
            "--server" if is_one else f"--{section}-url",
            "--key-env " if len(hosts) < 2 else f"--set {section}.key_env=",
        )

    # One option names the key of one host.
    hosts = {urlsplit(url).netloc for url in (llm.url, tts.url) if url is not None}
    if llm.url is not None and not voice_only:
        sides.append(side("llm", llm.url, CHAT_ROUTE))
    if tts.url is not None and tts.api == "openai":
        sides.append(side("tts", tts.url, SPEECH_ROUTE))
    return sides


def explain(error: VoicebenchError, sides: Sequence[Asked]) -> VoicebenchError:
    """Return an error of connecting, with the address that answers instead, if there is one."""
    for side in sides:
        if side.access.proxy is None and shown(side.url).split("/")[2] in error.message:
            found = _answering(side, elsewhere(side.base))
            if found is not None:
                return _with_address(CannotMeasure, error.message, side, found)
    return error


def check_routes(settings: Settings, sides: Sequence[Asked]) -> None:
    """Raise `UsageError` for a missing route or a refused key.

    A server that says nothing is asked no more: each question would wait as long again.
    """
    with suppress(_Silent):
        for side in sides:
            _check_route(side, settings)


def check_names(settings: Settings, sides: Sequence[Asked]) -> None:
    """Raise `UsageError` for a model or a voice that the server does not list."""
    offered: dict[str, list[Offered]] = {}
    for side in sides:
        if side.base not in offered:
            offered[side.base] = _offered(side)
        if side.section == "llm":
            _check_model(side, settings.named("llm.model"), offered[side.base])
        else:
            _check_speech(side, settings, offered[side.base])


def _check_route(side: Asked, settings: Settings) -> None:
    answer = _ask(side.url, side.access, _refusable(side.section, settings))
    if answer is None or answer.speaks_of_tls:
        found = _answering(side, [other_scheme(side.base)])
        if found is not None:
            raise _with_address(
                UsageError,
                f"{shown(side.url)} does not answer as {urlsplit(side.base).scheme}",
                side,
                found,
            )
        return
    if answer.status in _NO_KEY:
        raise _no_key(side, answer)
    if answer.status in _NO_ROUTE and "model" not in answer.words.lower():
        kind = "speech" if side.section == "tts" else "chat"
        message = f"{shown(side.url)} answers {answer.status}: the server has no {kind} route there"
        found = _answering(side, other_bases(side.base))
        if found is not None:
            raise _with_address(UsageError, message, side, found)
        if side.section == "tts":
            raise UsageError(
                message,
                "name a server that speaks, --tts-url URL, or take the voice of this machine: "
                "--llm-url URL instead of --server",
            )
        raise UsageError(message, f"check the path: {side.url_option} http://HOST:PORT/v1")


def _check_model(side: Asked, name: str | None, offered: Sequence[Offered]) -> None:
    names = [model.name for model in offered if model.task in ("", "text-generation")]
    # Ollama lists "llama3:latest" and takes "llama3".
    if name is None or not names or name in (*names, *(one.partition(":")[0] for one in names)):
        return
    raise _not_offered(side, f"the model {quote(name)}", name, names, "--llm")


def _check_speech(side: Asked, settings: Settings, offered: Sequence[Offered]) -> None:
    speaking = [model for model in offered if model.task == "text-to-speech"]
    model, voice = settings.named("tts.model"), settings.named("tts.voice")
    names = [one.name for one in speaking]
    if model not in (None, WELL_KNOWN_MODEL, *names) and names:
        raise _not_offered(side, f"the model {quote(model or '')}", model or "", names, _TTS_MODEL)
    of_model = [found for found in speaking if found.name == model] or speaking
    voices = [one for found in of_model for one in found.voices]
    if voice is not None and voices and voice not in voices:
        raise _not_offered(side, f"the voice {quote(voice)}", voice, voices, "--voice")


_TTS_MODEL = "--set tts.model="


def _not_offered(
    side: Asked, what: str, name: str, names: Sequence[str], option: str
) -> UsageError:
    listed = ", ".join(quote(one) for one in names[:_MOST_NAMES])
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    close = difflib.get_close_matches(name, names, n=1)
    choice = close[0] if close else names[0]
    joint = "" if option.endswith("=") else " "
    guess = "did you mean" if close else "take"
    return UsageError(
        f"{shown(below(side.base, '/models'))} does not list {what}; it lists {listed}{more}",
        f"{guess} {option}{joint}{quote(choice)}? (--set wire.preflight=false asks nothing)",
    )


def _no_key(side: Asked, answer: _Answer) -> UsageError:
    words = f": {answer.words}" if answer.words else ""
    message = f"{shown(side.url)} answers {answer.status}{words}"
    if side.access.key is None:
        return UsageError(
            message, f"name the environment variable with the key: {side.key_option}VARIABLE"
        )
    variable = side.access.key.variable
    return UsageError(message, f"check the key in the environment variable {variable}")


def _with_address(
    kind: type[VoicebenchError], message: str, side: Asked, base: str
) -> VoicebenchError:
    return kind(message, f"{shown(base)} answers: {side.url_option} {shown(base)}")


class _Silent(Exception):
    """A server took the connection and said nothing in time."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """The status of an answer, and the server's words in it, as they may be shown."""

    status: int
    words: str

    @property
    def speaks_of_tls(self) -> bool:
        """Whether a server that expects TLS refused a plain request."""
        return self.status in (400, 497) and "https" in self.words.lower()


def _ask(url: str, access: Access, body: Mapping[str, object]) -> _Answer | None:
    """Return how a route answers a request that it must refuse; None if it cannot be asked.

    Raises `_Silent` if no answer comes in time.
    """
    service = HttpService(url, replace(access, deadline=None, timeouts=PATIENCE), "llm")
    try:
        with closing(service):
            service.check()
            with service.exchange("POST", url, json=dict(body)) as answer:
                is_refusal = answer.status >= 400
                words = answer.quoted_beginning() if is_refusal else ""
                return _Answer(answer.status, words)
    except EngineError as error:
        if error.fault == "timeout":
            raise _Silent from None
        return None


def _refusable(section: str, settings: Settings) -> dict[str, object]:
    """Return a request without messages, or without a text, which no server can compute."""
    model = settings.named(f"{section}.model")
    named: dict[str, object] = {} if model is None else {"model": model}
    # What is merged into every request may be a key.
    extra = settings.llm.extra if section == "llm" else settings.tts.extra
    named |= {key: value for key, value in extra.items() if value is not None}
    named.pop("input", None)
    return named | ({"messages": []} if section == "llm" else {})


def _offered(side: Asked) -> list[Offered]:
    patient = replace(side.access, timeouts=PATIENCE)
    try:
        return offered_models(side.base, patient, side.section)
    except EngineError:
        return []


def _answering(side: Asked, bases: Iterable[str]) -> str | None:
    """Return the first of ``bases`` whose route is there. The key goes only to the same server."""
    for base in bases:
        if base == side.base:
            continue
        is_same = urlsplit(base)[:2] == urlsplit(side.base)[:2]
        access = side.access if is_same else replace(side.access, key=None, headers={})
        try:
            answer = _ask(below(base, side.route), access, {})
        except _Silent:
            continue
        if answer and answer.status not in _NO_ROUTE and not answer.speaks_of_tls:
            return base
    return None
