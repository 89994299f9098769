"""The application: every route, what it accepts, what it answers.

The OpenAPI document at ``/openapi.json`` is made from the routes. It has the bounds of each field
and every status.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket

from voicebench import __version__
from voicebench.agents import Agent
from voicebench.server.admission import Turns
from voicebench.server.call_forms import PcmForm, TelephonyForm
from voicebench.server.chat_route import chat_form
from voicebench.server.clock import unix_time
from voicebench.server.counters import CONTENT_TYPE, ServerCounters
from voicebench.server.http_answer import TurnAnswer
from voicebench.server.openapi import (
    SOUND,
    ErrorAnswer,
    Health,
    ModelCard,
    ModelList,
    refusals,
    sse_or,
)
from voicebench.server.page_files import FILES, page_file
from voicebench.server.realtime_route import realtime_socket
from voicebench.server.refusal import Refusal
from voicebench.server.rendering import SoundForm, SoundWriter, SpeechEvents
from voicebench.server.request_bodies import (
    IGNORED,
    ChatRequest,
    PlainRequest,
    SpeechRequest,
    Text,
    spoken_text,
)
from voicebench.server.request_gate import RequestGate
from voicebench.server.served import Served
from voicebench.server.speech_socket import speech_socket
from voicebench.server.spoken_calls import CallDesk, call_socket
from voicebench.server.voice_route import voice_socket


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Limits of a server: the requests that it accepts, and how many.

    Without a ``token`` no key is needed. ``hosts`` are the allowed names in the Host header, None
    for any.
    """

    token: str | None = None
    hosts: frozenset[str] | None = None
    most_running: int = 8
    most_waiting: int = 32


def create_app(served: Served, options: ServeOptions, agent: Agent | None = None) -> FastAPI:
    """Return the application for ``served``; `turns_of` gives its turns.

    ``agent`` takes spoken calls.
    """
    counters = ServerCounters()
    turns = Turns(
        most_running=options.most_running,
        most_waiting=options.most_waiting,
        new_schedule=served.new_schedule,
        observe=counters.note_turn,
    )
    counters.watch(lambda: turns.running, lambda: turns.waiting)

    app = FastAPI(
        title="voicebench",
        version=__version__,
        summary="A language model and a voice, to be measured.",
        docs_url=None,
        # Newer releases of FastAPI can trace every request and export that, if variables of the
        # environment ask for it. Older ones ignore this argument.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        redoc_url=None,
        responses={
            401: {"model": ErrorAnswer, "description": "The key is missing or wrong."},
            403: {"model": ErrorAnswer, "description": "A page of another origin asks."},
        },
    )
    app.state.turns = turns
    _add_error_forms(app)
    _add_openai_routes(app, served, turns)
    _add_plain_routes(app, served, turns)
    desk = CallDesk(agent)
    _add_state_routes(app, served, turns, counters, desk)
    _add_sockets(app, served, turns, desk)
    _add_calls(app, desk)
    _add_page(app)
    app.add_middleware(
        RequestGate, token=options.token, hosts=options.hosts, note_answer=counters.note_answer
    )
    return app


def turns_of(app: FastAPI) -> Turns:
    """Return the turns that ``app`` runs."""
    turns = app.state.turns
    assert isinstance(turns, Turns)
    return turns


def _add_openai_routes(app: FastAPI, served: Served, turns: Turns) -> None:
    @app.post(
        "/v1/chat/completions",
        summary="A reply in text, streamed or whole",
        description=f"OpenAI's chat completions. Without effect: {IGNORED}.",
        response_class=Response,
        responses=refusals(400, 404, 413, 500, 503) | sse_or("application/json"),
        tags=["OpenAI"],
    )
    async def chat_completions(request: ChatRequest) -> Response:
        _check_name(request.model, served.chat_model, "model")
        answer_request = request.answer_request()
        form = chat_form(served, request, answer_request)
        return TurnAnswer(
            turns, "/v1/chat/completions", partial(served.write, answer_request), form
        )

    @app.post(
        "/v1/audio/speech",
        summary="The speech of a text, streamed while it is made",
        response_class=Response,
        responses=refusals(400, 404, 413, 500, 503) | sse_or("audio/wav", "audio/pcm"),
        tags=["OpenAI"],
    )
    async def audio_speech(request: SpeechRequest) -> Response:
        _check_name(request.model, served.voice, "model")
        if request.voice_name() != "default":
            _check_name(request.voice_name(), served.voice, "voice")
        text = spoken_text(request.text, "input")
        sound = SoundWriter(request.response_format)
        in_events = request.stream_format == "sse"
        form = SpeechEvents(sound, len(text.split())) if in_events else sound
        return TurnAnswer(turns, "/v1/audio/speech", partial(served.speak, text), form)

    @app.get(
        "/v1/models", summary="What is served", response_model_exclude_none=True, tags=["OpenAI"]
    )
    async def models() -> ModelList:
        return ModelList(data=list(cards.values()))

    @app.get(
        "/v1/models/{model}",
        summary="One of what is served",
        response_model_exclude_none=True,
        responses=refusals(404),
        tags=["OpenAI"],
    )
    async def model(model: str) -> ModelCard:
        if model not in cards:
            _check_name(model, served.chat_model, "model")
        return cards[model]

    cards = _cards_of(served)


def _add_plain_routes(app: FastAPI, served: Served, turns: Turns) -> None:
    def speak(text: str, form: SoundForm) -> Response:
        spoken = spoken_text(text, "text")
        return TurnAnswer(turns, "/tts/stream", partial(served.speak, spoken), SoundWriter(form))

    described: dict[str, Any] = {
        "response_class": Response,
        "responses": refusals(400, 413, 500, 503) | SOUND,
        "tags": ["plain"],
    }

    @app.get("/tts/stream", summary="The speech of a text in the URL", **described)
    async def tts_stream_get(
        text: Annotated[Text, Query(description="What is to be said.")],
        format: Annotated[
            Literal["wav", "wav-chunks", "pcm"], Query(description="How the sound is sent.")
        ] = "wav",
    ) -> Response:
        return speak(text, format)

    @app.post("/tts/stream", summary="The speech of a text in the body", **described)
    async def tts_stream_post(request: PlainRequest) -> Response:
        return speak(request.text, request.format)


def _add_sockets(app: FastAPI, served: Served, turns: Turns, desk: CallDesk) -> None:
    def add(path: str, serve: Callable[[WebSocket, Served, Turns], Awaitable[None]]) -> None:
        @app.websocket(path)
        async def endpoint(socket: WebSocket) -> None:
            await serve(socket, served, turns)

    add("/v1/voice", voice_socket)
    add("/v1/realtime", partial(realtime_socket, desk=desk))
    add("/tts/socket", speech_socket)


def _add_calls(app: FastAPI, desk: CallDesk) -> None:
    app.add_api_websocket_route("/v1/call", call_socket(desk, PcmForm))
    app.add_api_websocket_route("/v1/media-stream", call_socket(desk, TelephonyForm))


def _add_page(app: FastAPI) -> None:
    async def page(request: Request) -> Response:
        return page_file(request.url.path)

    for path in FILES:
        app.add_api_route(path, page, include_in_schema=False, response_class=Response)


def _add_state_routes(
    app: FastAPI, served: Served, turns: Turns, counters: ServerCounters, desk: CallDesk
) -> None:
    @app.get("/health", summary="Whether turns are taken", responses=refusals(503), tags=["state"])
    async def health() -> Health:
        if turns.draining:
            raise Refusal(503, "the server is shutting down", headers={"Retry-After": "5"})
        return Health(
            status="ok",
            chat_model=served.chat_model,
            voice=served.voice,
            sample_rate=served.sample_rate,
            parameters=served.parameters,
            hears=desk.agent is not None,
            running=turns.running,
            waiting=turns.waiting,
        )

    @app.get(
        "/metrics",
        summary="ServerCounters in Prometheus' text form",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
        tags=["state"],
    )
    async def metrics() -> Response:
        return Response(counters.text(), headers={"content-type": CONTENT_TYPE})


def _cards_of(served: Served) -> dict[str, ModelCard]:
    """Return the description of each model by its name. Both may have the same name."""
    started, voices = unix_time(), [served.voice]
    if served.chat_model == served.voice:
        return {served.voice: ModelCard(id=served.voice, created=started, voices=voices)}
    return {
        served.chat_model: ModelCard(id=served.chat_model, created=started, task="text-generation"),
        served.voice: ModelCard(
            id=served.voice, created=started, task="text-to-speech", voices=voices
        ),
    }


def _check_name(name: str, served: str, param: str) -> None:
    if name != served:
        raise Refusal(
            404,
            f"{param} {name!r} is not served here; {served!r} is",
            param=param,
            code=f"{param}_not_found",
        )


def _add_error_forms(app: FastAPI) -> None:
    """Give every refusal OpenAI's form, those of the libraries included."""

    @app.exception_handler(Refusal)
    async def refused(_request: Request, refusal: Exception) -> JSONResponse:
        assert isinstance(refusal, Refusal)
        return refusal.response()

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
        # Do not repeat what was sent: it may be anything, of any length.
        message = f"{where}: {first['msg']}"
        if first["type"] == "model_attributes_type":
            message = "the body is no JSON object, or content-type: application/json is missing"
        return Refusal(400, message, param=where, code=str(first["type"])).response()

    @app.exception_handler(HTTPException)
    async def plain(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return Refusal(error.status_code, str(error.detail), headers=error.headers).response()
