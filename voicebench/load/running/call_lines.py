"""Lines of callers: how one caller reaches the target, turn after turn.

Each caller has connections of its own, opened before its first turn and closed when it hangs up.
Engines in this process are loaded once, and all callers of the process share them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from copy import copy
from typing import Protocol

from voicebench.errors import CannotMeasure, UsageError
from voicebench.events import Emit, TurnFailed, TurnStarted
from voicebench.load.running.cut_timer import PlannedCut
from voicebench.pipeline.device_queue import DeviceQueue
from voicebench.pipeline.scheduling import TurnTaking
from voicebench.remote import Remote
from voicebench.settings import Settings
from voicebench.targets import Cancellable, Target
from voicebench.targets.cascade import Cascade, shared_device
from voicebench.targets.kinds import kind_of, open_target

Within = Callable[[Target], Target]
"""Return the target after the earlier messages of a call."""


class CallLine(Protocol):
    """The way of one caller to the target. One thread uses it at a time."""

    def dial(self) -> None:
        """Open its connections. Raises a `VoicebenchError` if that fails."""
        ...

    def prepare(self) -> None:
        """Open again what the server has closed since; the next turn says what cannot be opened."""
        ...

    def take(
        self, prompt: str, emit: Emit, cut: PlannedCut | None, within: Within | None = None
    ) -> None:
        """Take one turn: `TurnStarted` first, exactly one terminal event last.

        ``cut`` is told how the turn is cut off, if the target can do that. ``within`` returns the
        target after the earlier messages of the call.
        """
        ...

    def hang_up(self) -> None:
        """Close its connections; it can be dialled again."""
        ...


class CallLines:
    """Gives a line to every caller of this process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._in_process = bool(kind_of(settings).models(settings, voice_only=False))
        self._shared: _SharedLine | None = None

    def line(self) -> CallLine:
        """Return a line that is not dialled yet."""
        if not self._in_process:
            return _OwnLine(self._settings)
        if self._shared is None:
            self._shared = _SharedLine(open_target(self._settings, _ignore))
        return self._shared


class _OwnLine:
    """A line with a target of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._target: Target | None = None
        self._why_not = ""

    def dial(self) -> None:
        if self._target is not None:
            self.prepare()
            return
        try:
            self._target = open_target(self._settings, _ignore)
        except (CannotMeasure, UsageError) as error:
            self._why_not = str(error)
            raise

    def prepare(self) -> None:
        if isinstance(self._target, Remote):
            with suppress(CannotMeasure):
                self._target.prepare()

    def take(
        self, prompt: str, emit: Emit, cut: PlannedCut | None, within: Within | None = None
    ) -> None:
        if self._target is None:
            emit(TurnStarted(prompt))
            emit(TurnFailed(self._why_not, "protocol", "connect"))
            return
        target = self._target if within is None else within(self._target)
        if cut is not None and isinstance(target, Cancellable):
            cut.offer(target.cancel)
        target.run(prompt, emit)

    def hang_up(self) -> None:
        if self._target is not None:
            self._target.close()


class _SharedLine:
    """The line to engines in this process, for any number of callers at once."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._device: DeviceQueue | None = None
        if isinstance(target, Cascade) and not _has_remote_engine(target):
            self._device = shared_device(target)

    def dial(self) -> None:
        pass

    def prepare(self) -> None:
        if isinstance(self._target, Remote):
            with suppress(CannotMeasure):
                self._target.prepare()

    def take(
        self, prompt: str, emit: Emit, cut: PlannedCut | None, within: Within | None = None
    ) -> None:
        target = copy(self._target)  # each turn is cut off by itself
        if within is not None:
            target = within(target)
        if cut is not None and isinstance(target, Cancellable):
            cut.offer(target.cancel)
        if isinstance(target, Cascade) and self._device is not None:
            target.run(prompt, emit, TurnTaking(device=self._device))
        else:
            target.run(prompt, emit)

    def hang_up(self) -> None:
        pass


def _has_remote_engine(cascade: Cascade) -> bool:
    return isinstance(cascade.llm, Remote) or isinstance(cascade.tts, Remote)


def _ignore(_line: str) -> None:
    """Say nothing: the parent has said it once."""
