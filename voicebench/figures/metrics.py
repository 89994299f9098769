"""The metrics: pure functions from one sealed timeline to one number.

`METRICS` is the only place where a metric is named. The tables, the CSV header, the gates and the
documentation all read it. A metric that a timeline does not show is `None`, never 0. Durations are
milliseconds from the turn's start unless their ``doc`` says otherwise. Metrics of the whole reply
are missing for a turn that the listener cut off: it shows only a part of its reply.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import median
from typing import Literal

from voicebench.events import Stage
from voicebench.figures.call_metrics import CALL_METRICS, call_response, call_stop
from voicebench.figures.metric import NS_PER_MS as NS_PER_MS  # noqa: PLC0414 (with the metrics)
from voicebench.figures.metric import Better as Better  # noqa: PLC0414
from voicebench.figures.metric import Metric as Metric  # noqa: PLC0414
from voicebench.turn.listened import wasted_s
from voicebench.turn.playback import (
    Arrival,
    gapless_start_ns,
    heard_at_ns,
    listen,
    worst_deficit_ns,
)
from voicebench.turn.timeline import TimedText, Timeline


def _ms(at_ns: float | None) -> float | None:
    return None if at_ns is None else at_ns / NS_PER_MS


def _first(events: Sequence[TimedText | Arrival]) -> int | None:
    return events[0].at_ns if events else None


def _reply_complete(turn: Timeline) -> int | None:
    if turn.whole_reply is not None:
        return turn.whole_reply.at_ns
    return turn.tokens[-1].at_ns if turn.tokens else None


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else (end - start) / NS_PER_MS


def _inter_token(turn: Timeline) -> float | None:
    """Return the median gap before tokens that arrived alone; None if fewer than half did.

    Joined tokens have one stamp. The gap before them is the time of several tokens.
    """
    stamps = [token.at_ns for token in turn.tokens]
    alone = Counter(stamps)
    gaps = [
        (later - earlier) / NS_PER_MS for earlier, later in pairwise(stamps) if alone[later] == 1
    ]
    return median(gaps) if gaps and 2 * len(gaps) >= len(stamps) - 1 else None


TOKENS_BESIDE_TEXT = 8
"""Special tokens that a model may count although they are not text: ends, roles, channels."""


def count_contradicts(turn: Timeline) -> bool:
    """Return whether the model's own count of tokens cannot be the count of the visible text.

    That is so if it includes hidden tokens, if there were more visible deltas, or if the text is
    too short for it. A token of English has about four letters. The bound allows two letters, one
    token for each byte of other scripts, and two tokens in each delta.
    """
    if turn.usage_tokens is None or not turn.reply:
        return False
    if turn.usage_with_hidden or turn.usage_tokens < len(turn.tokens):
        return True
    text = turn.reply.encode("utf-8", "replace")
    of_ascii = len(text.decode("ascii", "ignore"))
    most = max(2 * len(turn.tokens), of_ascii / 2 + len(text) - of_ascii) + TOKENS_BESIDE_TEXT
    return turn.usage_tokens > most


def _token_count(turn: Timeline) -> float | None:
    if turn.usage_tokens is not None and not count_contradicts(turn):
        return float(turn.usage_tokens)
    return float(len(turn.tokens)) if turn.tokens else None


def _token_rate(turn: Timeline) -> float | None:
    if len(turn.tokens) < 2 or count_contradicts(turn):
        return None
    elapsed_ns = turn.tokens[-1].at_ns - turn.tokens[0].at_ns
    count = _token_count(turn)
    if elapsed_ns <= 0 or count is None:
        return None
    return (count - 1) * 1e9 / elapsed_ns


def _leading_silence(turn: Timeline) -> float | None:
    if turn.sound is None or turn.sound.first_audible_sample is None:
        return None
    return turn.sound.first_audible_sample * 1000.0 / turn.sound.sample_rate


def _first_sound(turn: Timeline) -> float | None:
    if turn.sound is None or turn.sound.first_audible_sample is None:
        return None
    return _ms(heard_at_ns(turn.audio, turn.sound.sample_rate, turn.sound.first_audible_sample))


def _gapless_start(turn: Timeline) -> float | None:
    return _ms(gapless_start_ns(turn.audio, turn.sound.sample_rate)) if turn.sound else None


def _worst_deficit(turn: Timeline) -> float | None:
    return _ms(worst_deficit_ns(turn.audio, turn.sound.sample_rate)) if turn.sound else None


def _of_stalls(measure: Callable[[list[float]], float]) -> Callable[[Timeline], float | None]:
    """Return what computes ``measure`` from the durations of a turn's stalls, in ms."""

    def of_turn(turn: Timeline) -> float | None:
        if turn.sound is None:
            return None
        stalls = listen(turn.audio, turn.sound.sample_rate).stalls
        return float(measure([stall.duration_ns / NS_PER_MS for stall in stalls]))

    return of_turn


def _audio_seconds(turn: Timeline) -> float | None:
    if turn.sound is None:
        return None
    return sum([arrival.samples for arrival in turn.audio]) / turn.sound.sample_rate


def _synthesis_speed(turn: Timeline) -> float | None:
    """Return seconds of audio per second of synthesis.

    A chunk's synthesis lasts from its hand-over to its last samples. Waiting for the language model
    between two chunks is not counted.
    """
    seconds = _audio_seconds(turn)
    if seconds is None or not turn.chunks:
        return None
    busy_ns = sum(_synthesis_ns(chunk_ns, audio) for chunk_ns, audio in audio_by_chunk(turn))
    return seconds * 1e9 / busy_ns if busy_ns > 0 else None


def _synthesis_ns(chunk_ns: int, audio: tuple[Arrival, ...]) -> int:
    return audio[-1].at_ns - chunk_ns if audio else 0


def audio_by_chunk(turn: Timeline) -> list[tuple[int, tuple[Arrival, ...]]]:
    """Return each text chunk's hand-over stamp, with the audio that arrived before the next one.

    Samples with the same stamp as a hand-over belong to the chunk before it: they were its last.
    """
    if not turn.chunks:
        return []
    starts = [chunk.at_ns for chunk in turn.chunks]
    ends = [*starts[1:], turn.end_ns]
    before = starts[0] - 1
    stamps = [arrival.at_ns for arrival in turn.audio]
    found = []
    for start, end in zip(starts, ends, strict=True):
        # Stamps rise, so each chunk's audio is a stretch of them.
        first, last = bisect_right(stamps, before), bisect_right(stamps, end)
        found.append((start, turn.audio[first:last]))
        before = end
    return found


def _connect(turn: Timeline) -> float | None:
    return sum(connected.connect_ms for connected in turn.connections) if turn.connections else None


def _reused(turn: Timeline) -> float | None:
    if not turn.connections:
        return None
    return float(all(connected.reused for connected in turn.connections))


def server_and_ours(turn: Timeline, stage: Stage) -> tuple[float, float] | None:
    """Return the server's own duration of a stage and ours, in ms; None where it reports none.

    Of several requests the first one counts: later text chunks are spoken while the first is heard.
    """
    for timing in turn.server_timings:
        if timing.stage == stage == "turn":
            return timing.duration_ms, turn.end_ns / NS_PER_MS
        if timing.stage == stage and timing.our_ms is not None:
            return timing.duration_ms, timing.our_ms
    return None


def _reported(turn: Timeline, stages: Sequence[Stage]) -> list[tuple[float, float]]:
    """Return `server_and_ours` of each stage that is reported; of the whole turn alone if it is."""
    found = {stage: pair for stage in stages if (pair := server_and_ours(turn, stage)) is not None}
    return [found["turn"]] if "turn" in found else list(found.values())


def _server_of(*stages: Stage) -> Callable[[Timeline], float | None]:
    def of_turn(turn: Timeline) -> float | None:
        reported = _reported(turn, stages)
        return sum(server for server, _ in reported) if reported else None

    return of_turn


def _transport_of(*stages: Stage) -> Callable[[Timeline], float | None]:
    def of_turn(turn: Timeline) -> float | None:
        reported = _reported(turn, stages)
        return sum(ours - server for server, ours in reported) if reported else None

    return of_turn


def _unattributed(turn: Timeline) -> float | None:
    first_audio, first_chunk = _ms(_first(turn.audio)), _ms(_first(turn.chunks))
    ttfb = _between(_first(turn.chunks), _first(turn.audio))
    if first_audio is None or first_chunk is None or ttfb is None:
        return None
    return first_audio - first_chunk - ttfb


def _late(turn: Timeline) -> float | None:
    return None if turn.load is None else turn.load.late_ns / NS_PER_MS


def _from_due(of: Callable[[Timeline], float | None]) -> Callable[[Timeline], float | None]:
    """Return what computes a time from the due moment instead of the turn's start.

    A spoken turn starts when the caller's last audible sample was sent: then it is the response.
    """

    def of_turn(turn: Timeline) -> float | None:
        late_ms = _late(turn)
        after_start_ms = of(turn) if turn.call is None else call_response(turn)
        return None if late_ms is None or after_start_ms is None else late_ms + after_start_ms

    return of_turn


def _of_place(name: Literal["client_lag_ns", "setup_ns"]) -> Callable[[Timeline], float | None]:
    return lambda turn: None if turn.load is None else _ms(getattr(turn.load, name))


def _stop(turn: Timeline) -> float | None:
    """Return how long sound came after the request to stop; None unless the end of it was seen."""
    cut = turn.cut
    if cut is None or turn.failed or cut.how != "asked" or cut.stopped_ns is None:
        return None
    last_ns = turn.audio[-1].at_ns if turn.audio else cut.at_ns
    return max(last_ns - cut.at_ns, 0) / NS_PER_MS


def _of_whole(of: Callable[[Timeline], float | None]) -> Callable[[Timeline], float | None]:
    """Return what computes a metric of the whole reply: None if the reply was cut off."""
    return lambda turn: of(turn) if turn.is_whole else None


def _if_interrupting(of: Callable[[Timeline], float | None]) -> Callable[[Timeline], float | None]:
    return lambda turn: of(turn) if turn.load is not None and turn.load.interrupts else None


METRICS: tuple[Metric, ...] = (
    Metric(
        "llm_ttft_ms",
        "Turn start to the first token: the first non-empty visible text delta. Role-only, empty "
        "and blank deltas before it, reasoning and tool calls do not count.",
        lambda turn: _ms(_first(turn.tokens)),
    ),
    Metric(
        "llm_total_ms",
        "Turn start to the last token, when the reply's text is complete; for a reply in one "
        "piece, to the reply. Includes the time in which the model waited for a synthesizer on "
        "the same device.",
        _of_whole(lambda turn: _ms(_reply_complete(turn))),
    ),
    Metric(
        "llm_itl_ms",
        "Median gap between two tokens of the reply. Missing if most tokens came together with "
        "others in one read, because their own moments are unknown.",
        _inter_token,
    ),
    Metric(
        "llm_tokens",
        "Tokens of the reply: the model's own count if it fits the text, else the visible deltas.",
        _of_whole(_token_count),
        unit="count",
        better="neither",
    ),
    Metric(
        "llm_tokens_per_s",
        "Decode rate after the first token: (tokens - 1) over the time from the first to the last "
        "token. Missing if the model's count includes hidden tokens or contradicts the tokens "
        "seen.",
        _of_whole(_token_rate),
        unit="per_s",
        better="higher",
    ),
    Metric(
        "first_chunk_ms",
        "Turn start to the moment the first text chunk is handed to the synthesizer. Includes the "
        "language model's first tokens and the chunker's wait for the end of a word.",
        lambda turn: _ms(_first(turn.chunks)),
    ),
    Metric(
        "tts_ttfb_ms",
        "First text chunk handed to the synthesizer to the first PCM sample in host memory. A "
        "container header is not a sample.",
        lambda turn: _between(_first(turn.chunks), _first(turn.audio)),
    ),
    Metric(
        "first_audio_ms",
        "Turn start to the first PCM sample in host memory, audible or not.",
        lambda turn: _ms(_first(turn.audio)),
    ),
    Metric(
        "leading_silence_ms",
        "Silence at the beginning of the audio, before the first audible sample.",
        _leading_silence,
    ),
    Metric(
        "first_sound_ms",
        "Turn start to the first audible sample as heard by a listener who plays at once. "
        "Includes the leading silence and any stall before it.",
        _first_sound,
    ),
    Metric(
        "gapless_start_ms",
        "Turn start to the earliest moment at which playback can begin and never stall.",
        _of_whole(_gapless_start),
    ),
    Metric(
        "stall_count",
        "Number of stalls: a listener who starts at first audio finds the buffer empty and pauses.",
        _of_whole(_of_stalls(len)),
        unit="count",
    ),
    Metric(
        "stall_ms",
        "Total length of the stalls of a listener who starts at first audio.",
        _of_whole(_of_stalls(sum)),
    ),
    Metric(
        "longest_stall_ms",
        "Length of the longest stall of a listener who starts at first audio.",
        _of_whole(_of_stalls(lambda stalls: max(stalls, default=0.0))),
    ),
    Metric(
        "worst_deficit_ms",
        "The largest lag of the received audio behind a playhead that starts at first audio and "
        "never pauses.",
        _of_whole(_worst_deficit),
    ),
    Metric(
        "turn_ms",
        "Turn start to the last sample in host memory.",
        _of_whole(lambda turn: _ms(turn.audio[-1].at_ns) if turn.audio else None),
    ),
    Metric(
        "audio_s",
        "Seconds of audio in the turn.",
        _audio_seconds,
        unit="s",
        better="neither",
    ),
    Metric(
        "synth_speed_x",
        "Seconds of audio per second of synthesis. The synthesis of a chunk lasts from its "
        "hand-over to its last samples.",
        _of_whole(_synthesis_speed),
        unit="x",
        better="higher",
    ),
    Metric(
        "connect_ms",
        "DNS, TCP and TLS of the turn's connections. Not part of any other figure, unless the "
        "turn itself had to wait for a connection; then the advice says so.",
        _connect,
    ),
    Metric(
        "connection_reused",
        "1 if every connection of the turn had been used before, else 0.",
        _reused,
        unit="bool",
        better="neither",
    ),
    Metric(
        "first_byte_ms",
        "Turn start to the first body byte of the audio response, container header included. For "
        "comparison with tools that stop there.",
        lambda turn: _ms(turn.first_byte_ns),
    ),
    Metric(
        "server_ms",
        "The server's own duration, on its clock, if it reports one: of the whole turn if one "
        "endpoint does it, else of the requests that first audio waits for (the first token, and "
        "the first sound of the first text chunk), as far as their servers report them.",
        _server_of("turn", "llm", "tts"),
    ),
    Metric(
        "transport_ms",
        "Our duration of what server_ms covers, minus server_ms. Each request counts from the "
        "moment it was sent.",
        _transport_of("turn", "llm", "tts"),
        may_be_negative=True,
    ),
    Metric(
        "speaker_ms",
        "Turn start to the moment the first sample leaves the sound device (its DAC time); only "
        "in `say`.",
        lambda turn: _ms(turn.speaker_ns),
    ),
    Metric(
        "unattributed_ms",
        "first_audio - first_chunk - tts_ttfb: zero by construction.",
        _unattributed,
        may_be_negative=True,
    ),
    Metric(
        "server_llm_ms",
        "The language model server's own time to its first token: its Server-Timing up to the "
        "head of the answer, or the prompt's part of llama.cpp's timings.",
        _server_of("llm"),
    ),
    Metric(
        "transport_llm_ms",
        "Our duration of the same, from the request to the head of the answer or to the first "
        "token, minus server_llm.",
        _transport_of("llm"),
        may_be_negative=True,
    ),
    Metric(
        "server_tts_ms",
        "The speech server's own time to its first sound: its Server-Timing up to the head of the "
        "answer to the first text chunk.",
        _server_of("tts"),
    ),
    Metric(
        "transport_tts_ms",
        "Our duration of the same, from the request to the head of the answer, minus server_tts.",
        _transport_of("tts"),
        may_be_negative=True,
    ),
    Metric(
        "late_ms",
        "Due moment to turn start: our own delay in starting the turn, not the server's. Only "
        "under load, as the next four.",
        _late,
    ),
    Metric(
        "first_audio_due_ms",
        "Due moment to the first PCM sample in host memory: late + first_audio. Gated under load. "
        "Of a spoken turn: late + response.",
        _from_due(lambda turn: _ms(_first(turn.audio))),
    ),
    Metric(
        "first_sound_due_ms",
        "Due moment to the first audible sample as heard by a listener who plays at once.",
        _from_due(_first_sound),
    ),
    Metric(
        "client_lag_ms",
        "Our stamp minus the kernel's receive time, the largest up to first audio: how long data "
        "waited for us.",
        _of_place("client_lag_ns"),
    ),
    Metric(
        "setup_ms",
        "Dial to ready, once a call: only the first turn of a call has it.",
        _of_place("setup_ns"),
    ),
    Metric(
        "stop_ms",
        "The request to stop, sent when the listener interrupts, to the last sound that came after "
        "it; 0 if none came. Missing if the target never said that it had stopped, if the reply "
        "was complete by then, and if the client could only hang up: that hides what the server "
        "goes on to do. In `call`: the interruption's first audible sample sent to the last sample "
        "of the agent's old answer that is heard; censored, without a time, if the agent does not "
        "fall silent within the limit of the script; missing if its answer ended by itself.",
        lambda turn: _stop(turn) if turn.call is None else call_stop(turn),
        confirmed_by="stopped",
        kinds=("interruption",),
    ),
    Metric(
        "wasted_audio_s",
        "Seconds of sound that came and were never heard, because the listener interrupted. "
        "Missing if the reply was heard out. What a server makes after the client hung up cannot "
        "be seen.",
        wasted_s,
        unit="s",
    ),
    Metric(
        "interrupting_first_audio_ms",
        "Due moment to the first PCM sample, of a turn with which the caller interrupts the one "
        "before. Missing for all other turns.",
        _if_interrupting(_from_due(lambda turn: _ms(_first(turn.audio)))),
    ),
    *CALL_METRICS,
)

BY_NAME: dict[str, Metric] = {metric.name: metric for metric in METRICS}
"""Every metric by its full name."""

FIRST_AUDIO = BY_NAME["first_audio_ms"]


def compute(turn: Timeline) -> dict[str, float | None]:
    """Return every metric of ``turn`` by name, in the order of `METRICS`."""
    return {metric.name: metric.of(turn) for metric in METRICS}
