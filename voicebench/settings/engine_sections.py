"""Settings of the engines, of the servers they may be behind, and of the way to these servers.

One class is one section of the settings file. The text below each key is its documentation:
docs/reference/configuration.md and `voicebench config` print it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from voicebench.audio.encodings import PcmEncoding
from voicebench.errors import UsageError


@contextmanager
def refused_as(kind: str) -> Iterator[None]:
    """Raise a `UsageError` as the error of a setting."""
    try:
        yield
    except UsageError as error:
        raise PydanticCustomError(kind, f"{error.remedy}: {error.message}") from None


class SettingsSection(BaseModel):
    """One section of the settings file; unknown keys and values of a wrong type are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @classmethod
    def key_names(cls) -> list[str]:
        """Return the section's keys in the order of the documentation."""
        return list(cls.model_fields)

    @classmethod
    def descriptions(cls) -> dict[str, str]:
        """Return the text below each key, read from the source: only documentation needs it."""
        import ast
        import inspect

        texts = {}
        for section in (base for base in cls.mro() if issubclass(base, SettingsSection)):
            (definition,) = ast.parse(inspect.getsource(section)).body
            assert isinstance(definition, ast.ClassDef)
            for statement, following in pairwise(definition.body):
                match statement, following:
                    case (
                        ast.AnnAssign(target=ast.Name(id=key)),
                        ast.Expr(value=ast.Constant(value=str(text))),
                    ):
                        texts[key] = " ".join(text.split())
        return texts


class PeerSettings(SettingsSection):
    """How to authenticate to the server of a section, which has a key ``url`` too."""

    key_env: str | None = None
    """Name of the environment variable that holds the key."""
    key_header: str = "Authorization"
    """Header that carries the key."""
    key_scheme: str = "Bearer"
    """Word before the key in that header."""
    headers: dict[str, str] = {}
    """Further headers of each request; never a key."""

    @classmethod
    def key_names(cls) -> list[str]:
        """Return the section's keys; those of every server follow the URL and the model."""
        shared = list(PeerSettings.model_fields)
        own = [key for key in cls.model_fields if key not in shared]
        place = 1 + max(own.index(key) for key in ("url", "model") if key in own)
        return [*own[:place], *shared, *own[place:]]


class LlmSettings(PeerSettings):
    """The language model."""

    model: Annotated[str, Field(min_length=1)] = "smollm2-135m-instruct"
    """A name of `voicebench models list`, a folder, a .gguf file or a hub id; its name on the
    server where llm.url is set. Default there: what the server's /v1/models names."""
    engine: Literal["auto", "fast", "transformers"] = "auto"
    """Engine that runs the model: 'fast' for models of the Llama family, 'transformers' for all;
    'auto' is the fast one where possible."""
    kernels: Literal["auto", "native", "torch"] = "auto"
    """What the fast engine multiplies with on a CPU: the C library for this processor, or torch;
    'auto' is the better one that is available."""
    device: str | None = None
    """The same as run.device, for this engine only."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """The same as llm.precision, by torch's names."""
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "auto"
    """Number format of the computation; 'auto' is the fastest one that keeps the model's
    quality."""
    max_tokens: Annotated[int, Field(ge=1, le=4096)] = 64
    """Hard limit on the reply, in tokens."""
    end_after_words: Annotated[int | None, Field(ge=1, le=4096)] = 12
    """After this many words the reply ends at the next sentence end. In process only: with llm.url
    the server or llm.max_tokens ends the reply."""
    temperature: Annotated[float, Field(ge=0, le=5)] = 0.0
    """0 is greedy: always the likeliest token."""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Seed of the sampling."""
    system_prompt: Annotated[str | None, Field(max_length=8000)] = None
    """Default in process: a request for short spoken answers; with llm.url: none is sent."""
    kept_mb: Annotated[int, Field(ge=0, le=65_536)] = 128
    """Memory in MiB for the keys and values of conversations, kept between their turns so that a
    turn computes only its own words; the conversation that is used least recently goes first. 0
    keeps none. Fast engine only."""
    url: str | None = None
    """Base URL of a server that speaks OpenAI's chat protocol, such as 'http://127.0.0.1:8000/v1'.
    Default: in process."""
    stream: bool = True
    """Ask for the reply token by token; false: in one piece."""
    extra: dict[str, Any] = {}
    """Merged into the request's JSON last."""


class TtsSettings(PeerSettings):
    """The synthesizer."""

    voice: Annotated[str, Field(min_length=1)] = "hibari-heart"
    """A name of `voicebench models list`, a Piper .onnx file, or a folder or hub id of a
    transformers VitsModel (MMS-TTS); its name on the server where tts.url is set. Default there:
    what /v1/models names, else 'alloy'."""
    device: str | None = None
    """The same as run.device, for this engine only."""
    kernels: Literal["auto", "native", "torch"] = "auto"
    """What computes a voice in process on a CPU: the C library for this processor, or torch; 'auto'
    is the better one that is available."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the weights; 'auto' is the fast one on the device."""
    length_scale: Annotated[float | None, Field(gt=0, le=10)] = None
    """Pace; above 1 is slower. Default: the voice's."""
    noise_scale: Annotated[float | None, Field(ge=0, le=2)] = None
    """Variation of the tone. Default: the voice's."""
    noise_w: Annotated[float | None, Field(ge=0, le=2)] = None
    """Variation of the rhythm. Default: the voice's."""
    speaker_id: Annotated[int | None, Field(ge=0)] = None
    """Speaker of a voice that has several."""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Seed of the voice's noise."""
    first_window_ms: Annotated[float | None, Field(gt=0, le=10_000)] = None
    """Length of a reply's first window of sound, in milliseconds. Default: the shortest after which
    playing does not stall, at the speed measured on this machine."""
    trim_silence: bool = True
    """Leave out the silence before a reply's first sound."""
    api: Literal["openai", "plain", "socket"] = "openai"
    """What the server at tts.url speaks: OpenAI's speech protocol, a plain HTTP route, or a
    WebSocket that takes text and gives sound."""
    url: str | None = None
    """URL of a speech server; for 'plain' with '{text}' in it or in tts.body. Default: in
    process."""
    model: Annotated[str | None, Field(min_length=1)] = None
    """The model's name on the server ('openai'). Default: what /v1/models names, else 'tts-1'."""
    format: Literal["auto", "pcm", "wav", "mp3", "opus", "flac", "aac"] = "auto"
    """Sound to ask for ('openai') or to expect; 'auto' reads the answer."""
    encoding: PcmEncoding | None = None
    """Samples of raw PCM, by FFmpeg's names: s16le, s24be, f32le, u8, mulaw, … Default: what the
    answer says, else s16le."""
    sample_rate: Annotated[int | None, Field(ge=1000, le=384_000)] = None
    """Rate of raw PCM that does not state it, in Hz; sound with another rate is an error."""
    channels: Annotated[int | None, Field(ge=1, le=8)] = None
    """Channels of raw PCM, mixed down to one. Default: what the answer says, else 1."""
    stream_format: Literal["audio", "sse"] | None = None
    """Ask for plain sound or for server-sent events."""
    method: Literal["GET", "POST"] = "GET"
    """HTTP method of a plain route."""
    body: str | dict[str, Any] | None = None
    """Body of the request to a plain route, with '{text}' in it."""
    content_type: str = "text/plain; charset=utf-8"
    """Content type of a body that is text."""
    socket: dict[str, Any] = {}
    """Messages of a WebSocket: chunk, done, sound, opening, ready, failed, in_order, own."""
    extra: dict[str, Any] = {}
    """Merged into the request's JSON last."""


class ServerSettings(PeerSettings):
    """A server that does the whole turn (run.target = 'voice' or 'realtime')."""

    url: str | None = None
    """URL of a WebSocket, such as 'ws://127.0.0.1:8765/v1/voice'."""
    dialect: Literal["ga", "beta"] = "ga"
    """Event names of the Realtime protocol."""
    voice: str | None = None
    """Voice of the Realtime session."""
    instructions: str | None = None
    """Instructions of the Realtime session."""
    out_of_band: bool = True
    """Ask outside the Realtime conversation, so that no turn sees earlier ones."""


class WireSettings(SettingsSection):
    """How servers are reached, and the limits on their time."""

    connect_s: Annotated[float, Field(gt=0, le=600)] = 5.0
    """Limit on name lookup, TCP, TLS and handshake together, in seconds."""
    first_byte_s: Annotated[float, Field(gt=0, le=600)] = 20.0
    """Limit from the request to the answer's first byte, in seconds."""
    between_bytes_s: Annotated[float, Field(gt=0, le=600)] = 10.0
    """Limit on silence in the middle of an answer, in seconds."""
    turn_s: Annotated[float, Field(gt=0, le=3600)] = 60.0
    """Limit on the whole turn, in seconds."""
    cold_connection: bool = False
    """Open a new connection inside every turn; the turns stay 'measured', and their figures include
    connecting."""
    http2: bool = False
    """HTTP/2: negotiated where the connection is encrypted; used without asking over http://, so
    the server must support it. WebSockets refuse it."""
    redirects: bool = False
    """Follow redirects on the same origin."""
    proxy: str | None = None
    """URL of an HTTP proxy. WebSockets refuse it."""
    ca_file: str | None = None
    """File of further certificates to trust (PEM)."""
    preflight: bool = True
    """Ask a server of OpenAI's protocol for its routes, models and voices before the first turn."""
