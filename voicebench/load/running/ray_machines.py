"""Machines of a Ray cluster: one actor on each, and calls that may find a machine gone.

Ray carries the plan, the heartbeat and finished turns. It is an extra (`ray`), imported when used.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from voicebench.errors import CannotMeasure
from voicebench.load.clock_offsets import PROBES, ClockOffset, ClockProbe, offset_of
from voicebench.load.running.level_clock import recorder_ns
from voicebench.load.running.machine_clients import (
    MachineClients,
    MachineFacts,
    check_alike,
    facts_here,
)
from voicebench.machine.extras import require

START_ONE = "start one: ray start --head, and ray start --address HOST:6379 on the others"
REACHED_S = 5.0
PLACED_S = 60.0
CALL_S = 180.0
"""How long a machine may take to answer: opening all connections takes the longest."""


class MachineLost(Exception):
    """A machine does not answer any more."""


@dataclass(eq=False)
class RayMachine:
    """One machine of the cluster."""

    name: str
    actor: Any
    facts: MachineFacts

    def ask(self, method: str, *arguments: object, **named: object) -> Any:
        """Call a method of its `MachineClients`; the answer comes from `answer`."""
        return getattr(self.actor, method).remote(*arguments, **named)

    def answer(self, asked: Any) -> Any:
        """Return the answer. Raises `MachineLost`."""
        import ray
        from ray.exceptions import GetTimeoutError, RayActorError, RaySystemError

        try:
            return ray.get(asked, timeout=CALL_S)
        except (RayActorError, RaySystemError, GetTimeoutError) as error:
            raise MachineLost(f"{type(error).__name__}") from None

    def offset(self) -> ClockOffset:
        """Return its clock minus ours, by probes. Raises `MachineLost`."""
        probes = []
        for _ in range(PROBES):
            sent_ns = recorder_ns()
            theirs_ns = self.answer(self.ask("clock_ns"))
            probes.append(ClockProbe(sent_ns, theirs_ns, recorder_ns()))
        return offset_of(probes)


@contextmanager
def ray_machines(address: str) -> Iterator[list[RayMachine]]:
    """Place one actor on each machine of the cluster at ``address`` (``auto``: the one here).

    Raises `CannotMeasure` if there is no cluster, and `UsageError` for unequal versions.
    """
    require("ray")
    import ray
    from ray.util.placement_group import placement_group, remove_placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    _check_reachable(address)
    was_connected = ray.is_initialized()
    if not was_connected:
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise CannotMeasure(
                "this machine belongs to no Ray cluster"
                if address == "auto"
                else f"there is no Ray cluster at {address} ({type(error).__name__})",
                START_ONE,
            ) from None
    group = None
    try:
        alive = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
        group = placement_group([{"CPU": 1.0}] * len(alive), strategy="STRICT_SPREAD")
        if not group.wait(PLACED_S):
            raise CannotMeasure(
                f"Ray has no free core on each of {len(alive)} machines",
                "see what else runs there: ray status",
            )
        clients: Any = ray.remote(MachineClients)
        actors: list[Any] = [
            clients.options(
                num_cpus=1,
                scheduling_strategy=PlacementGroupSchedulingStrategy(
                    placement_group=group, placement_group_bundle_index=index
                ),
            ).remote()
            for index in range(len(alive))
        ]
        facts = ray.get([actor.facts.remote() for actor in actors], timeout=CALL_S)
        check_alike(facts_here(), facts)
        yield [
            RayMachine(f"{fact.host} ({number})", actor, fact)
            for number, (actor, fact) in enumerate(zip(actors, facts, strict=True), 1)
        ]
    finally:
        with suppress(Exception):  # machines may be gone
            if group is not None:
                remove_placement_group(group)
        if not was_connected:
            ray.shutdown()


def _check_reachable(address: str) -> None:
    """Raise `CannotMeasure` if nothing listens at ``HOST:PORT``; Ray itself tries for minutes."""
    host, separator, port = address.rpartition(":")
    if not separator or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), REACHED_S).close()
    except OSError as error:
        raise CannotMeasure(
            f"there is no Ray cluster at {address} ({error.strerror or error})", START_ONE
        ) from None


@contextmanager
def machines_of(address: str | None) -> Iterator[list[RayMachine]]:
    """Place actors as `ray_machines` does, if there is an address; else give no machine."""
    if address is None:
        yield []
    else:
        with ray_machines(address) as machines:
            yield machines
