"""``--otlp``: the turns of a recorded run, sent to an OpenTelemetry collector as traces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING

from voicebench.cli.shown import to_stderr
from voicebench.errors import CannotMeasure, VoicebenchError

if TYPE_CHECKING:
    from voicebench.remote.clients.otlp_collector import OtlpCollector
    from voicebench.results.run import RecordedRun
    from voicebench.settings import Settings
    from voicebench.turn.timeline import Timeline

TURNS_A_REQUEST = 100


def check_otlp(settings: Settings) -> None:
    """Raise `UsageError` if the collector's URL or key cannot be used, before anything is done."""
    if settings.otlp.url is not None:
        _collector(settings, settings.otlp.url).close()


def publish_traces(run: RecordedRun, settings: Settings) -> None:
    """Send the run, if the settings name a collector.

    A collector that is down, slow or refuses changes nothing of the run: it costs one warning.
    """
    if settings.otlp.url is None:
        return
    try:
        send_traces([run], settings, settings.otlp.url)
    except VoicebenchError as error:
        again = f"send them again: voicebench report {run.path} --otlp URL"
        to_stderr(f"warning: {error.message}; {again}")


def send_traces(runs: Sequence[RecordedRun], settings: Settings, url: str) -> int:
    """Send all turns of ``runs``, and return how many.

    Raises `CannotMeasure` if the collector does not take them.
    """
    from voicebench.remote.failure import RemoteError
    from voicebench.report.exchange.traces import trace_request

    sent = 0
    try:
        with closing(_collector(settings, url)) as collector:
            for run in runs:
                for turns in _batches(run):
                    collector.send(trace_request(run, turns, with_text=settings.otlp.text))
                    sent += len(turns)
    except RemoteError as error:
        raise CannotMeasure(
            f"the traces were not sent: {error.message}",
            "OTLP over HTTP is usually at port 4318; otlp.timeout_s is how long it may take",
        ) from None
    return sent


def _collector(settings: Settings, url: str) -> OtlpCollector:
    from voicebench.remote.clients.otlp_collector import OtlpCollector
    from voicebench.targets.reaching import access_to

    access = access_to(settings.otlp, settings)
    return OtlpCollector(url, access, settings.otlp.timeout_s)


def _batches(run: RecordedRun) -> Iterator[list[Timeline]]:
    from voicebench.results.batches import stream_turns

    turns = stream_turns(run.path)
    while batch := list(islice(turns, TURNS_A_REQUEST)):
        yield batch
