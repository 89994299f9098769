"""The script of a call: what the caller says, when, and what he expects of the agent.

A script is TOML. Each ``[[step]]`` is one of

* a *line*, ``say = "…"`` or ``wav = "file.wav"``: the caller waits until the agent is silent,
  speaks, and expects an answer;
* an *interruption*: the same with ``at = "800ms"``. It begins that long after the agent's answer
  began, and expects that the agent stops, and answers;
* a *noise*, ``noise = "cough"`` with ``at``: the agent is expected to ignore it.

``loss = "2%"`` and ``jitter = "40ms"`` are those of the caller's packets, where there are any.
``[pause 600ms]`` in a text is silence of that length. docs/how-to/calls.md shows each key.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from voicebench.calls.noises import NOISES
from voicebench.calls.packet_way import PacketWay
from voicebench.errors import UsageError
from voicebench.turn.call_turn import CallKind

LineFormat = Literal["pcm-24k", "pcm-16k", "mulaw-8k", "alaw-8k"]
"""The caller's line: 16-bit samples at 24 or 16 kHz, or G.711 at 8 kHz."""

Expectation = Literal["answer", "stop", "ignore"]

MOST_STEPS = 200
LONGEST_TEXT = 1000
STOP_LIMIT_MS = 1000.0
"""An interrupted agent has to be silent after this time, if the script says nothing else."""
IGNORE_LIMIT_MS = 1500.0
"""For so long the agent has to speak on after a noise."""
PATIENCE_MS = 8000.0
"""The caller waits so long for an answer."""
MOST_LOSS_PERCENT = 50
MOST_JITTER_MS = 1000.0
_EXPECTED: Mapping[CallKind, Expectation] = {
    "line": "answer",
    "interruption": "stop",
    "noise": "ignore",
}
_KEYS = (
    *("name", "language", "line", "background", "snr_db", "greeting", "loss", "jitter", "seed"),
    "step",
)
_STEP_KEYS = ("say", "wav", "text", "noise", "at", "expect", "limit", "background", "snr_db")
_DURATION = re.compile(r"^\s*(?P<number>[0-9]+(\.[0-9]+)?)\s*(?P<unit>ms|s)\s*$")
_SHARE = re.compile(r"^\s*(?P<number>[0-9]+(\.[0-9]+)?)\s*%\s*$")
_PAUSE = re.compile(r"\[\s*pause\s+([^\]]*)\]")
_MISSPELT_PAUSE = re.compile(r"\[\s*pause[^\]]*\]?", re.IGNORECASE)
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")


@dataclass(frozen=True, slots=True)
class CallStep:
    """One step of a script."""

    kind: CallKind
    pieces: tuple[str | float, ...] = ()
    """Texts to speak, and the pauses between them in milliseconds."""
    wav: str | None = None
    text: str = ""
    """What is said; for a recording what the script says that it says."""
    noise: str | None = None
    at_ms: float | None = None
    """The time after the beginning of the agent's answer; None for a line."""
    limit_ms: float = PATIENCE_MS
    background: str | None = None
    snr_db: float = 10.0

    @property
    def expect(self) -> Expectation:
        """The expectation, which follows from the kind."""
        return _EXPECTED[self.kind]

    @property
    def said(self) -> str:
        """The text, or the name of the noise."""
        return self.noise or self.text

    @property
    def has_pause(self) -> bool:
        """Whether the caller pauses inside the line."""
        return any(isinstance(piece, float) for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class CallScript:
    """A script: its steps, in order."""

    name: str
    steps: tuple[CallStep, ...]
    language: str = "en"
    line: LineFormat = "pcm-16k"
    greeting: bool = False
    """Whether the caller lets the agent speak first."""
    packets: PacketWay = field(default_factory=PacketWay)


def parse_script(text: str, where: str) -> CallScript:
    """Read a script. Raises `UsageError` that names ``where`` (its file), the step and the key."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where} is not TOML ({error})") from None
    _check_keys(table, _KEYS, where)
    listed = table.get("step")
    if not isinstance(listed, list) or not listed:
        raise UsageError(f"{where} has no step", 'add [[step]] with say = "…"')
    if len(listed) > MOST_STEPS:
        raise UsageError(f"{where} has {len(listed)} steps", f"{MOST_STEPS} are allowed")
    shared: dict[str, object] = {
        key: table[key] for key in ("background", "snr_db") if key in table
    }
    steps = tuple(
        _step(one, shared, f"{where}, step {number}") for number, one in enumerate(listed, start=1)
    )
    if not any(step.kind == "line" for step in steps):
        raise UsageError(f"{where} has no line", 'add a [[step]] with say = "…" and without at')
    if steps[0].kind != "line":
        raise UsageError(
            f"{where}, step 1 has at, and the agent does not speak yet", "begin with a line"
        )
    name = _text(table.get("name", "call"), "name", where)
    if not _NAME.match(name):
        raise UsageError(f"{where}: name {name!r} is not letters, digits, '.', '_' and '-'")
    line = _choice(table.get("line", "pcm-16k"), get_args(LineFormat), "line", where)
    greeting = table.get("greeting", False)
    if not isinstance(greeting, bool):
        raise UsageError(f"{where}: greeting is not true or false")
    language = _text(table.get("language", "en"), "language", where)
    packets = _packets(table, where)
    return CallScript(name, steps, language, line, greeting, packets)  # type: ignore[arg-type]


def _packets(table: Mapping[str, object], where: str) -> PacketWay:
    """Return what happens to the caller's packets. Raises `UsageError`."""
    loss = table.get("loss", "0%")
    share = _SHARE.match(loss) if isinstance(loss, str) else None
    if share is None or float(share["number"]) > MOST_LOSS_PERCENT:
        raise UsageError(
            f"{where}: loss {loss!r:.40} is no share of 0 to {MOST_LOSS_PERCENT} %",
            "write for example loss = '2%'",
        )
    jitter_ms = _duration(table["jitter"], "jitter", where) if "jitter" in table else 0.0
    if jitter_ms > MOST_JITTER_MS:
        raise UsageError(f"{where}: jitter is longer than {MOST_JITTER_MS:g} ms")
    seed = table.get("seed", 1)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise UsageError(f"{where}: seed {seed!r:.40} is no whole number of 0 to 4294967295")
    return PacketWay(float(share["number"]) / 100, jitter_ms, seed)


def _step(table: object, shared: Mapping[str, object], where: str) -> CallStep:
    if not isinstance(table, dict):
        raise UsageError(f"{where} is not a table", "write [[step]]")
    _check_keys(table, _STEP_KEYS, where)
    sources = [key for key in ("say", "wav", "noise") if key in table]
    if len(sources) != 1:
        given = " and ".join(sources) or "neither say, wav nor noise"
        raise UsageError(f"{where} has {given}", "give one of say, wav and noise")
    at_ms = _duration(table["at"], "at", where) if "at" in table else None
    source = sources[0]
    if source == "noise" and at_ms is None:
        raise UsageError(f"{where} is a noise without at", "say when it comes: at = '800ms'")
    kind: CallKind = "line" if at_ms is None else "noise" if source == "noise" else "interruption"
    if "text" in table and source != "wav":
        raise UsageError(f"{where} has text, which belongs to wav", "use say for a text")
    _check_expectation(table, kind, where)
    default = {"line": PATIENCE_MS, "interruption": STOP_LIMIT_MS, "noise": IGNORE_LIMIT_MS}[kind]
    limit_ms = _duration(table["limit"], "limit", where) if "limit" in table else default
    if limit_ms == 0:
        raise UsageError(f"{where}: limit is 0, which nothing keeps", "leave it out, or raise it")
    pieces = _pieces(_text(table["say"], "say", where), where) if source == "say" else ()
    written = " ".join(piece for piece in pieces if isinstance(piece, str))
    noise = wav = None
    if source == "noise":
        noise = _choice(table["noise"], tuple(NOISES), "noise", where)
    if source == "wav":
        wav = _text(table["wav"], "wav", where)
    background = None
    merged = {**shared, **table}
    if source != "noise" and "background" in merged:
        background = _choice(merged["background"], tuple(NOISES), "background", where)
    snr_db = merged.get("snr_db", 10.0)
    if isinstance(snr_db, bool) or not isinstance(snr_db, int | float) or not -20 <= snr_db <= 60:
        raise UsageError(f"{where}: snr_db {snr_db!r:.40} is not a number of -20 to 60")
    return CallStep(
        kind=kind,
        pieces=pieces,
        wav=wav,
        text=written or (_text(table["text"], "text", where) if "text" in table else ""),
        noise=noise,
        at_ms=at_ms,
        limit_ms=limit_ms,
        background=background,
        snr_db=float(snr_db),
    )


def _check_expectation(table: Mapping[str, object], kind: CallKind, where: str) -> None:
    """Raise `UsageError` if the step expects what its kind cannot show."""
    if "expect" not in table:
        return
    expect = _choice(table["expect"], get_args(Expectation), "expect", where)
    if expect != _EXPECTED[kind]:
        an = "an" if kind == "interruption" else "a"
        raise UsageError(
            f"{where} is {an} {kind} and expects {expect!r}", f"it can expect {_EXPECTED[kind]!r}"
        )


def _pieces(text: str, where: str) -> tuple[str | float, ...]:
    """Return the texts and pauses of a line. Raises `UsageError`."""
    found: list[str | float] = []
    for number, part in enumerate(_PAUSE.split(text)):
        if number % 2:
            found.append(_duration(part, "pause", where))
        elif part.strip():
            found.append(" ".join(part.split()))
    texts = [piece for piece in found if isinstance(piece, str)]
    for piece in texts:
        if misspelt := _MISSPELT_PAUSE.search(piece):
            raise UsageError(
                f"{where}: {misspelt[0]!r:.40} is not a pause", "write for example [pause 600ms]"
            )
    if not texts or not all(re.search(r"\w", piece) for piece in texts):
        raise UsageError(f"{where} says nothing", "write a text in say, with words between pauses")
    if not isinstance(found[0], str) or not isinstance(found[-1], str):
        raise UsageError(f"{where} begins or ends with a pause", "write pauses between words")
    return tuple(found)


def _duration(value: object, key: str, where: str) -> float:
    """Return milliseconds: 600.0 for ``600ms`` or ``0.6s``, at most a minute."""
    match = _DURATION.match(value) if isinstance(value, str) else None
    if match is None:
        raise UsageError(
            f"{where}: {key} {value!r:.40} is not a duration", f"write for example {key} = '800ms'"
        )
    duration_ms = float(match["number"]) * (1 if match["unit"] == "ms" else 1000)
    if duration_ms > 60_000:
        raise UsageError(f"{where}: {key} {value!r:.40} is longer than a minute")
    return duration_ms


def _text(value: object, key: str, where: str) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{where}: {key} is not a text", f'write {key} = "…"')
    if not value.strip():
        raise UsageError(f"{where}: {key} is empty", f'write {key} = "…"')
    if len(value) > LONGEST_TEXT:
        raise UsageError(f"{where}: {key} has more than {LONGEST_TEXT} characters")
    return value


def _choice(value: object, allowed: tuple[str, ...], key: str, where: str) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise UsageError(f"{where}: unknown {key} {value!r:.40}", f"use {', '.join(allowed)}")
    return value


def _check_keys(table: Mapping[str, object], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            raise UsageError(f"{where} has an unknown key {key!r}", f"use {', '.join(known)}")
