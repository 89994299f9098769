"""Settings of the OpenTelemetry collector that gets a run's turns as traces."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from voicebench.settings.engine_sections import PeerSettings


class OtlpSettings(PeerSettings):
    """The OpenTelemetry collector of `run --otlp` (see docs/how-to/reports.md)."""

    url: str | None = None
    """Its address, such as http://127.0.0.1:4318: the base of OTLP over HTTP, or its route
    /v1/traces."""
    text: bool = False
    """Send the words of prompt and reply too."""
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 10.0
    """Give up on the collector after so many seconds, for each request of up to 100 turns."""
