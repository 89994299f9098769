"""Loads that are refused before they start, with what would help.

A load can do harm (to someone else's server), or measure itself (engines that share the cores with
the client), or fail half way (too few file descriptors). Each refusal is one sentence.
"""

from __future__ import annotations

import ipaddress
import math
import sys
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from voicebench.agents.agent_kinds import agent_kind
from voicebench.errors import UsageError
from voicebench.format import number
from voicebench.load.call_plan import (
    Arrivals,
    Behaviour,
    CallRate,
    Population,
    TurnRate,
    cycle_s,
)
from voicebench.load.load_gate import LoadGate
from voicebench.machine.descriptors import check_descriptors
from voicebench.secret_names import hidden_in_url
from voicebench.settings import CALL_TARGET, Settings
from voicebench.targets.kinds import kind_of
from voicebench.targets.script import PREFIX

MOST_CALLERS_UNASKED = 10
"""More callers to a host that may be anyone's need ``--permitted``."""
DESCRIPTORS_BESIDE = 64
"""File descriptors that the program needs beside its connections."""
TIME_WAIT_S = 60.0
PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
CONNECTIONS_A_CALLER = 2
"""A language model and a voice."""


def callers_at_once(arrivals: Arrivals, behaviour: Behaviour, reply_s: float) -> int:
    """Return the expected number of callers at once, by Little's law for a rate; at least 1."""
    match arrivals:
        case Population(callers):
            return callers
        case CallRate(per_s):
            mean = per_s * behaviour.turns.mean * cycle_s(behaviour, reply_s)
        case TurnRate(per_s):
            mean = per_s * reply_s
        case _:
            return _most_at_once(
                [
                    (call.at_s, sum(t.think_s + t.speech_s + reply_s for t in call.turns))
                    for call in arrivals.calls
                ]
            )
    return max(math.ceil(mean), 1)


def receiving_at_once(arrivals: Arrivals, behaviour: Behaviour, reply_s: float) -> float:
    """Return about how many replies come in at once, if each comes as fast as it is heard."""
    match arrivals:
        case Population(callers):
            return callers * reply_s / cycle_s(behaviour, reply_s)
        case CallRate(per_s):
            return per_s * behaviour.turns.mean * reply_s
        case TurnRate(per_s):
            return per_s * reply_s
        case _:
            return float(callers_at_once(arrivals, behaviour, reply_s))


def _most_at_once(calls: list[tuple[float, float]]) -> int:
    steps = sorted(
        [(begins_s, 1) for begins_s, _ in calls]
        + [(begins_s + length_s, -1) for begins_s, length_s in calls]
    )
    now = most = 0
    for _, step in steps:
        now += step
        most = max(most, now)
    return max(most, 1)


def check_allowed(
    settings: Settings, callers: int, permitted: Collection[str], *, same_machine: bool
) -> None:
    """Raise `UsageError` for a load of ``callers`` that must not start.

    ``permitted`` are hosts whose owner allows the load. ``same_machine`` says that client and
    engine may share the cores.
    """
    if settings.run.target.startswith(PREFIX):
        return
    models = [] if is_spoken(settings) else kind_of(settings).models(settings, voice_only=False)
    if callers > 1 and models and not same_machine:
        raise UsageError(
            f"{callers} callers at once would compute in this process ({', '.join(models)}), and "
            "the client would share its cores with what it measures",
            "serve the engines with `voicebench serve` on other cores and give --server URL, or "
            "give --same-machine to measure both together",
        )
    permitted = {host.lower().strip("[]") for host in permitted}
    for url in server_urls(settings):
        host = urlsplit(url).hostname or ""
        if callers > MOST_CALLERS_UNASKED and not is_near(host) and host not in permitted:
            raise UsageError(
                f"{callers} callers at {hidden_in_url(url)} could harm a server that is not yours",
                f"give --permitted {host} if its owner allows it",
            )
    needed = CONNECTIONS_A_CALLER * callers + DESCRIPTORS_BESIDE
    check_descriptors(f"{callers} callers", needed)


def check_lag(settings: Settings, gates: Iterable[LoadGate]) -> None:
    """Raise `UsageError` for a gate on the client's lag where the system does not show it."""
    found = next((gate.gate.text for gate in gates if gate.metric == "client_lag_ms"), None)
    urls = list(server_urls(settings))
    open_ways = [urlsplit(url).scheme in ("http", "ws") for url in urls]
    if found is None or (sys.platform == "linux" and open_ways and all(open_ways)):
        return
    raise UsageError(
        f"gate {found!r} cannot be judged: only Linux says when bytes arrived, for connections "
        "that are not encrypted",
        "leave the gate out; a level whose client is seen to be late is invalid without it",
    )


def check_faults(settings: Settings) -> None:
    """Raise `UsageError` if no proxy can stand between client and server."""
    urls = list(server_urls(settings))
    if not urls or settings.run.target.startswith(PREFIX):
        raise UsageError(
            "load.faults needs a server behind a URL: its proxy stands between client and server",
            "give --server URL, or leave load.faults out",
        )
    for url in urls:
        if urlsplit(url).scheme not in ("http", "ws"):
            raise UsageError(
                f"load.faults cannot be made for {hidden_in_url(url)}: the connection is encrypted",
                "give an http:// or ws:// address of the server, or leave load.faults out",
            )


def is_spoken(settings: Settings) -> bool:
    """Return whether callers speak to an agent."""
    return settings.run.target == CALL_TARGET


def check_spoken(settings: Settings, arrivals: Arrivals) -> None:
    """Raise `UsageError` for a load of spoken calls that cannot be carried out."""
    url = settings.call.url or ""
    if not url.startswith(("ws://", "wss://")):
        raise UsageError(
            f"callers who speak need an agent behind a URL, not {hidden_in_url(url) or 'none'!r}",
            "give --agent ws://…, for example one of `voicebench serve`",
        )
    agent_kind(url).check(url, settings)
    if not isinstance(arrivals, Population | CallRate):
        raise UsageError(
            "callers who speak make whole calls of the script", "give --callers or --calls"
        )
    load = settings.load
    if load.interrupt is not None:
        raise UsageError(
            "load.interrupt is for turns of text, and these callers speak",
            "write interruptions into the script",
        )
    if load.faults is not None:
        raise UsageError(
            "load.faults cannot be used with callers who speak: a call has one connection, so a "
            "fault in one step disturbs every step after it, and none of them could be counted",
            "leave it out, or load a server of turns (--server)",
        )


def check_history(settings: Settings) -> None:
    """Raise `UsageError` if the target cannot take the earlier messages of a call."""
    if is_spoken(settings):
        why = "an agent that is spoken to keeps its own"
    elif settings.run.target.startswith(PREFIX):
        why = "a simulated target has no words to remember"
    else:
        why = kind_of(settings).why_no_history or ""
    if why:
        raise UsageError(
            f"load.history cannot be used with target {settings.run.target!r}: {why}",
            "leave load.history out, or load a chat server with a voice",
        )


def check_ray(settings: Settings) -> None:
    """Raise `UsageError` for a load that several machines cannot take together."""
    if not is_spoken(settings) and not settings.run.target.startswith(PREFIX):
        models = kind_of(settings).models(settings, voice_only=False)
        if models:
            raise UsageError(
                f"--ray needs a server: each machine would compute by itself ({', '.join(models)})",
                "give --server URL, or leave --ray out",
            )
    if settings.run.target.startswith(PREFIX):
        raise UsageError(
            "--ray needs a server: a simulated target is on the clock of one machine",
            "give --server URL, or leave --ray out",
        )
    if settings.load.faults is not None:
        raise UsageError(
            "--faults and --ray exclude each other: the fault proxy is on one machine",
            "leave one of them out",
        )


def check_same_server(settings: Settings, hosts: Collection[str]) -> None:
    """Raise `UsageError` if a URL leads to another server on each of several machines."""
    for url in server_urls(settings):
        host = urlsplit(url).hostname or ""
        if len(set(hosts)) > 1 and (host == "localhost" or host.startswith("127.")):
            raise UsageError(
                f"{hidden_in_url(url)} is another server on each of {len(set(hosts))} machines",
                "give an address of the server that all machines reach",
            )


def is_near(host: str) -> bool:
    """Return whether ``host`` is this machine, or an address of a private network.

    A name other than ``localhost`` may lead anywhere.
    """
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address  # ::ffff:8.8.8.8 is 8.8.8.8
    return address.is_loopback or (address.is_private and not address.is_unspecified)


def server_urls(settings: Settings) -> Iterator[str]:
    """Yield the URLs of the target's servers, or that of the agent."""
    if is_spoken(settings):
        yield settings.call.url or ""
        return
    for section in (settings.llm, settings.tts, settings.server):
        if section.url:
            yield section.url


def check_ports(callers: int, calls_per_s: float) -> None:
    """Raise `UsageError` if this machine has too few ports for the connections to one server.

    Each caller has a connection, and each call a new one. A port can be used again a minute after
    its connection was closed (RFC 9293, TIME-WAIT).
    """
    allowed = _ports_of_connections()
    needed = math.ceil(callers + TIME_WAIT_S * calls_per_s)
    if allowed is not None and needed > allowed:
        raise UsageError(
            f"{callers} callers and {number(calls_per_s, 'count')} calls a second need about "
            f"{needed} ports for connections to one server, and this machine has {allowed}",
            "give fewer callers or longer calls (load.turns), or widen the system's range of ports",
        )


def _ports_of_connections() -> int | None:
    """Return the number of ports for outgoing connections; None if the system does not say."""
    try:
        first, last = PORT_RANGE.read_text(encoding="ascii").split()
        return int(last) - int(first) + 1
    except (OSError, ValueError):
        return None
