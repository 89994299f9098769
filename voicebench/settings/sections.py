"""What may be set for a run, and within which bounds: one class a section of the settings file.

The descriptions are the documentation: docs/configuration.md and the help are made of them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from voicebench.audio.encodings import PcmEncoding
from voicebench.errors import UsageError
from voicebench.figures.figure import read_change
from voicebench.judging.gates import parse_gate

DEFAULT_GATES = (
    "llm_total.mean < 200ms",
    "tts_ttfb.p95 < 100ms",
    "first_audio.p95 < 300ms",
    "errors.rate <= 0",
)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class RunSettings(_Section):
    """What is measured, how often, and where the results go."""

    name: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
            description="Name of the run; part of the results folder's name. "
            "Letters, digits, '.', '_', '-'.",
        ),
    ] = "default"
    target: Annotated[
        str,
        Field(
            description="'cascade' (a language model, the chunker and a synthesizer, each in "
            "process or behind a URL), 'voice' or 'realtime' (server.url does the whole turn), or "
            "a simulated target, 'sim:ttft=120ms,token=8ms,ttfb=70ms,speed=4x'."
        ),
    ] = "cascade"
    runs: Annotated[
        int, Field(ge=1, le=100_000, description="Measured turns. 20 is what a p95 needs.")
    ] = 20
    warmup: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            description="Turns before measuring, on prompts of their own. The very first turn "
            "after loading is 'cold' and is kept apart.",
        ),
    ] = 3
    prompts: Annotated[
        str | None,
        Field(
            description="A file of prompts (text, one a line; or JSONL), or a built-in set: "
            "'english', 'french', 'reference'. Default: the set of the voice's language."
        ),
    ] = None
    prompt: Annotated[str | None, Field(description="One single prompt for every turn.")] = None
    sequential: Annotated[
        bool,
        Field(description="Hand the first text chunk over only when the whole reply is there."),
    ] = False
    idle_gap_s: Annotated[
        float,
        Field(
            ge=0,
            le=3600,
            description="Silence before each idle turn, in seconds; 0 takes none. Idle turns are "
            "a phase of their own, after the measured turns.",
        ),
    ] = 0.0
    idle_turns: Annotated[
        int, Field(ge=1, le=1000, description="Idle turns, where idle_gap_s is set.")
    ] = 3
    pause_s: Annotated[
        float, Field(ge=0, le=600, description="Silence before each measured turn, in seconds.")
    ] = 0.0
    device: Annotated[
        str, Field(description="Computing device: auto, cpu, mps, cuda or cuda:N.")
    ] = "auto"
    threads: Annotated[
        int | None,
        Field(
            ge=1,
            le=1024,
            description="CPU threads of the engines in process. Default: one per usable core; one "
            "less where the other engine is remote, for its client.",
        ),
    ] = None
    results: Annotated[str, Field(min_length=1, description="Folder for the run folders.")] = (
        "results"
    )
    save_audio: Annotated[bool, Field(description="Keep each turn's audio as a WAV file.")] = False


class LlmSettings(_Section):
    """The language model."""

    model: Annotated[
        str,
        Field(
            min_length=1,
            description="A name of `voicebench models list`, a folder, a .gguf file or a hub id; "
            "its name on the server where llm.url is set. Default there: what the server's "
            "/v1/models names.",
        ),
    ] = "smollm2-135m-instruct"
    engine: Annotated[
        Literal["auto", "fast", "transformers"],
        Field(
            description="Which engine runs the model: 'fast' computes models of the Llama family, "
            "'transformers' all; 'auto' takes the fast one where it can."
        ),
    ] = "auto"
    kernels: Annotated[
        Literal["auto", "native", "torch"],
        Field(
            description="What the fast engine multiplies with on a CPU: C compiled for this very "
            "processor, or torch; 'auto' takes the better one that is here."
        ),
    ] = "auto"
    device: Annotated[str | None, Field(description="As run.device, for this engine alone.")] = None
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"],
        Field(description="llm.precision in torch's words."),
    ] = "auto"
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16", "int8"],
        Field(
            description="Numbers the model computes in; 'auto' is the fastest whose quality passes "
            "on this model."
        ),
    ] = "auto"
    max_tokens: Annotated[
        int, Field(ge=1, le=4096, description="Hard limit on the reply, in tokens.")
    ] = 64
    end_after_words: Annotated[
        int | None,
        Field(
            ge=1,
            le=4096,
            description="Once the reply has so many words, it ends at the next sentence end. "
            "In process alone: with llm.url the server ends the reply, or llm.max_tokens does.",
        ),
    ] = 12
    temperature: Annotated[
        float, Field(ge=0, le=5, description="0 is greedy: always the likeliest token.")
    ] = 0.0
    seed: Annotated[int, Field(ge=0, le=2**31 - 1, description="Seed of the sampling.")] = 0
    system_prompt: Annotated[
        str | None,
        Field(
            max_length=8000,
            description="Default in process: a request for short spoken answers; with llm.url: "
            "none is sent.",
        ),
    ] = None
    url: Annotated[
        str | None,
        Field(
            description="Base URL of a server that speaks OpenAI's chat protocol, such as "
            "'http://127.0.0.1:8000/v1'. Default: in process."
        ),
    ] = None
    key_env: Annotated[
        str | None, Field(description="Name of the environment variable that holds the key.")
    ] = None
    key_header: Annotated[str, Field(description="Header that carries the key.")] = "Authorization"
    key_scheme: Annotated[str, Field(description="Word before the key in that header.")] = "Bearer"
    headers: Annotated[
        dict[str, str], Field(description="Further headers of each request; never a key.")
    ] = {}
    stream: Annotated[
        bool, Field(description="Ask for the reply token by token; false: in one piece.")
    ] = True
    extra: Annotated[dict[str, Any], Field(description="Merged into the request's JSON last.")] = {}


class ChunkerSettings(_Section):
    """How the reply is cut into pieces to speak."""

    first_words: Annotated[
        int, Field(ge=1, le=100, description="Words in the first text chunk.")
    ] = 3
    later_words: Annotated[
        int, Field(ge=1, le=1000, description="Words in every later text chunk.")
    ] = 8


class TtsSettings(_Section):
    """The synthesizer."""

    voice: Annotated[
        str,
        Field(
            min_length=1,
            description="A name of `voicebench models list`, a Piper .onnx file, or a folder or "
            "hub id of a transformers VitsModel (MMS-TTS); its name on the server where tts.url is "
            "set. Default there: what /v1/models names, else 'alloy'.",
        ),
    ] = "en_US-joe-medium"
    device: Annotated[str | None, Field(description="As run.device, for this engine alone.")] = None
    kernels: Annotated[
        Literal["auto", "native", "torch"],
        Field(
            description="What computes a voice in process on a CPU: C compiled for this very "
            "processor, or torch; 'auto' takes the former where there is a C compiler."
        ),
    ] = "auto"
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"],
        Field(description="Number format of the weights; 'auto' is what is fast on the device."),
    ] = "auto"
    length_scale: Annotated[
        float | None,
        Field(gt=0, le=10, description="Pace; above 1 is slower. Default: the voice's."),
    ] = None
    noise_scale: Annotated[
        float | None, Field(ge=0, le=2, description="Variation of the tone. Default: the voice's.")
    ] = None
    noise_w: Annotated[
        float | None,
        Field(ge=0, le=2, description="Variation of the rhythm. Default: the voice's."),
    ] = None
    speaker_id: Annotated[
        int | None, Field(ge=0, description="Speaker of a voice that has several.")
    ] = None
    seed: Annotated[int, Field(ge=0, le=2**31 - 1, description="Seed of the voice's noise.")] = 0
    first_window_ms: Annotated[
        float | None,
        Field(
            gt=0,
            le=10_000,
            description="Sound of a reply's first window, in milliseconds. Default: the least "
            "after which, at the speed measured here, playing does not stall.",
        ),
    ] = None
    trim_silence: Annotated[
        bool, Field(description="Leave out the silence before a reply's first sound.")
    ] = True
    api: Annotated[
        Literal["openai", "plain", "socket"],
        Field(
            description="What the server at tts.url speaks: OpenAI's speech protocol, a plain HTTP "
            "route, or a WebSocket that takes text and gives sound."
        ),
    ] = "openai"
    url: Annotated[
        str | None,
        Field(
            description="URL of a speech server; for 'plain' with '{text}' in it or in tts.body. "
            "Default: in process."
        ),
    ] = None
    model: Annotated[
        str | None,
        Field(
            min_length=1,
            description="The model's name on the server ('openai'). Default: what /v1/models "
            "names, else 'tts-1'.",
        ),
    ] = None
    key_env: Annotated[
        str | None, Field(description="Name of the environment variable that holds the key.")
    ] = None
    key_header: Annotated[str, Field(description="Header that carries the key.")] = "Authorization"
    key_scheme: Annotated[str, Field(description="Word before the key in that header.")] = "Bearer"
    headers: Annotated[
        dict[str, str], Field(description="Further headers of each request; never a key.")
    ] = {}
    format: Annotated[
        Literal["auto", "pcm", "wav", "mp3", "opus", "flac", "aac"],
        Field(description="Sound to ask for ('openai') or to expect; 'auto' reads the answer."),
    ] = "auto"
    encoding: Annotated[
        PcmEncoding | None,
        Field(
            description="Samples of raw PCM, by FFmpeg's names: s16le, s24be, f32le, u8, mulaw, … "
            "Default: what the answer says, else s16le."
        ),
    ] = None
    sample_rate: Annotated[
        int | None,
        Field(
            ge=1000,
            le=384_000,
            description="Rate of raw PCM that does not say it; sound that says another is an "
            "error.",
        ),
    ] = None
    channels: Annotated[
        int | None,
        Field(
            ge=1,
            le=8,
            description="Channels of raw PCM, mixed down to one. Default: what the answer says, "
            "else 1.",
        ),
    ] = None
    stream_format: Annotated[
        Literal["audio", "sse"] | None, Field(description="Ask for plain sound or for events.")
    ] = None
    method: Annotated[Literal["GET", "POST"], Field(description="Of a plain route.")] = "GET"
    body: Annotated[
        str | dict[str, Any] | None, Field(description="Of a plain route, with '{text}' in it.")
    ] = None
    content_type: Annotated[str, Field(description="Of a body that is text.")] = (
        "text/plain; charset=utf-8"
    )
    socket: Annotated[
        dict[str, Any],
        Field(
            description="The words of a WebSocket: chunk, done, sound, opening, ready, failed, "
            "in_order, own."
        ),
    ] = {}
    extra: Annotated[dict[str, Any], Field(description="Merged into the request's JSON last.")] = {}


class ServerSettings(_Section):
    """One endpoint that does the whole turn (run.target = 'voice' or 'realtime')."""

    url: Annotated[
        str | None, Field(description="WebSocket, such as 'ws://127.0.0.1:8765/v1/voice'.")
    ] = None
    key_env: Annotated[
        str | None, Field(description="Name of the environment variable that holds the key.")
    ] = None
    key_header: Annotated[str, Field(description="Header that carries the key.")] = "Authorization"
    key_scheme: Annotated[str, Field(description="Word before the key in that header.")] = "Bearer"
    headers: Annotated[
        dict[str, str], Field(description="Further headers of the handshake; never a key.")
    ] = {}
    dialect: Annotated[
        Literal["ga", "beta"], Field(description="Event names of the Realtime protocol.")
    ] = "ga"
    voice: Annotated[str | None, Field(description="Voice of the Realtime session.")] = None
    instructions: Annotated[
        str | None, Field(description="Instructions of the Realtime session.")
    ] = None
    out_of_band: Annotated[
        bool, Field(description="Ask Realtime outside the conversation, so no turn remembers.")
    ] = True


class WireSettings(_Section):
    """How servers are reached, and how long they may take."""

    connect_s: Annotated[
        float, Field(gt=0, le=600, description="Name lookup, TCP, TLS and handshake together.")
    ] = 5.0
    first_byte_s: Annotated[
        float, Field(gt=0, le=600, description="Request sent to the answer's first byte.")
    ] = 20.0
    between_bytes_s: Annotated[
        float, Field(gt=0, le=600, description="Silence in the middle of an answer.")
    ] = 10.0
    turn_s: Annotated[float, Field(gt=0, le=3600, description="The whole turn.")] = 60.0
    cold_connection: Annotated[
        bool,
        Field(
            description="Open a new connection inside every turn; the turns stay 'measured', and "
            "their figures include connecting."
        ),
    ] = False
    http2: Annotated[
        bool,
        Field(
            description="HTTP/2: offered where the connection is encrypted; over http:// spoken "
            "unasked, so the server has to know it."
        ),
    ] = False
    redirects: Annotated[bool, Field(description="Follow redirects on the same origin.")] = False
    proxy: Annotated[str | None, Field(description="URL of an HTTP proxy.")] = None
    ca_file: Annotated[
        str | None, Field(description="File of further certificates to trust (PEM).")
    ] = None


class AudibleSettings(_Section):
    """When a sample counts as audible (see docs/metrics.md)."""

    threshold: Annotated[float, Field(gt=0, lt=1, description="RMS, as a share of full scale.")] = (
        0.01
    )
    frame_ms: Annotated[float, Field(gt=0, le=1000, description="Length of a frame.")] = 10.0
    hop_ms: Annotated[float, Field(gt=0, le=1000, description="Step from frame to frame.")] = 1.0
    min_ms: Annotated[float, Field(gt=0, le=5000, description="Shortest sound that counts.")] = 20.0


class JudgeSettings(_Section):
    """How a run is judged (see docs/statistics.md)."""

    decide: Annotated[
        bool,
        Field(description="Judge gates by their confidence interval: PASS, FAIL or UNDECIDED."),
    ] = False
    until_decided: Annotated[
        bool, Field(description="Take more turns until every gate is decided; implies decide.")
    ] = False
    max_runs: Annotated[
        int, Field(ge=1, le=100_000, description="Measured turns at which until_decided stops.")
    ] = 200
    baseline: Annotated[
        str | None,
        Field(
            min_length=1,
            description="What the run may not be slower than: a run folder, 'latest', 'sprint:N', "
            "or 'set' for the one of `voicebench baseline set`.",
        ),
    ] = None
    max_regression: Annotated[
        float,
        Field(
            ge=0,
            description="How much worse than the baseline a figure may be: '10%', or a number "
            "below 1. Only with a baseline.",
        ),
    ] = 0.10
    streaming_turns: Annotated[
        int,
        Field(
            ge=0,
            le=100,
            description="Measured turns that a voice in this process speaks again at once, after "
            "the run, to compare the samples with what was streamed; 0: none.",
        ),
    ] = 1
    allow_noise: Annotated[
        bool, Field(description="Let the verdict stand on a machine that is too noisy for it.")
    ] = False

    @field_validator("max_regression", mode="before")
    @classmethod
    def _a_change_has_its_sign(cls, value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return value
        try:
            return read_change(value, "it")
        except UsageError as error:
            raise PydanticCustomError("change", f"{error.remedy}: {error.message}") from None

    @property
    def is_held_to_nothing(self) -> bool:
        """Whether it is set how much worse a run may be, and not than which other run."""
        return self.baseline is None and "max_regression" in self.model_fields_set


class Settings(_Section):
    """Everything that can be set for a run."""

    run: RunSettings = RunSettings()
    llm: LlmSettings = LlmSettings()
    chunker: ChunkerSettings = ChunkerSettings()
    tts: TtsSettings = TtsSettings()
    server: ServerSettings = ServerSettings()
    wire: WireSettings = WireSettings()
    audible: AudibleSettings = AudibleSettings()
    judge: JudgeSettings = JudgeSettings()
    gates: Annotated[
        list[str], Field(description="What the run is judged by; see docs/metrics.md.")
    ] = list(DEFAULT_GATES)

    @field_validator("gates")
    @classmethod
    def _gates_can_be_read(cls, gates: list[str]) -> list[str]:
        for gate in gates:
            parse_gate(gate)
        return gates

    def llm_device(self) -> str:
        """Return the device of the language model."""
        return self.llm.device or self.run.device

    def tts_device(self) -> str:
        """Return the device of the synthesizer."""
        return self.tts.device or self.run.device

    def named(self, key: str) -> str | None:
        """Return the text of ``key`` if somebody set it; None where it is the default.

        What a default names is embedded here, and known to no server.
        """
        section, _, name = key.partition(".")
        is_set = name in getattr(self, section).model_fields_set
        return str(lookup(self, key)) if is_set else None


def describe_keys() -> list[tuple[str, str]]:
    """Return every key with its description, in the order of the documentation."""
    described = []
    for name, info in Settings.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, _Section):
            described += [
                (f"{name}.{key}", field.description or "")
                for key, field in info.annotation.model_fields.items()
            ]
        else:
            described.append((name, info.description or ""))
    return described


def lookup(settings: Settings, key: str) -> object:
    """Return the value of ``key`` (``section.key``)."""
    value: object = settings
    for part in key.split("."):
        value = getattr(value, part)
    return value
