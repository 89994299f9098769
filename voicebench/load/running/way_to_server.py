"""The way from the client to the server: direct, or through the proxy that makes faults."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from voicebench.load.faults.proxy_process import fault_proxy
from voicebench.settings import Settings

SECTIONS = ("llm", "tts", "server")
"""The sections that may have a server's URL."""


@dataclass(frozen=True, slots=True)
class WayToServer:
    """The way of client processes to the server: through the proxy where there are faults."""

    fault_port: int | None = None
    ports: tuple[int, ...] = ()
    """The proxy's own ports: its time is not foreign."""
    of_server: tuple[tuple[str, int], ...] = ()
    """The servers' hosts and ports, in the order of ``ports``."""

    def through(self, settings: Settings) -> Settings:
        """Return ``settings`` whose URLs lead through the proxy, if there is one."""
        ports = dict(zip(self.of_server, self.ports, strict=True))
        changed = {}
        for name in SECTIONS if ports else ():
            section = getattr(settings, name)
            if section.url:
                parts = urlsplit(section.url)
                here = f"127.0.0.1:{ports[_host_and_port(section.url)]}"
                url = urlunsplit(parts._replace(netloc=here))
                changed[name] = section.model_copy(update={"url": url})
        return settings.model_copy(update=changed)


@contextmanager
def way_to_server(settings: Settings) -> Iterator[WayToServer]:
    """Start the proxy if the settings ask for faults, and end it after the block."""
    urls = [getattr(settings, name).url for name in SECTIONS]
    servers = tuple(dict.fromkeys(_host_and_port(url) for url in urls if url))
    if settings.load.faults is None or not servers:
        yield WayToServer()
        return
    with fault_proxy(servers) as proxy:
        yield WayToServer(proxy.request_port, proxy.ports, servers)


def _host_and_port(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 80
