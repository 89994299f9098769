"""A pipeline of the user's own, as a Python function: what `voicebench.measure` can take."""

from __future__ import annotations

import threading
from collections.abc import Callable

from voicebench.errors import IllegalEvent, UsageError
from voicebench.events import Emit, Event, TurnFailed, TurnFinished, TurnStarted
from voicebench.quoting import one_line
from voicebench.settings import Settings
from voicebench.targets import Target, TargetKind

_OF_ENGINES = ("llm", "chunker", "tts", "server", "wire")
_OF_THE_RUN = ("sequential", "device", "threads")

Answer = Callable[[str, Emit], object]
"""Answer a prompt, and emit each event at its moment. What it returns is ignored."""


class FunctionTarget:
    """A `Target` that calls a function for each turn.

    `TurnStarted` is emitted before the call, and `TurnFinished` after it unless the function has
    ended the turn. An exception ends the turn as failed; the last one is kept in ``exception``.

    A thread that goes on to emit when the function has returned makes the turn too short. That
    raises `IllegalEvent` in the thread, and in the next `run` or `check_over`.
    """

    def __init__(self, answer: Answer) -> None:
        self.name = getattr(answer, "__qualname__", type(answer).__qualname__)
        self.exception: Exception | None = None
        self._late: Event | None = None
        self._answer = answer

    def run(self, prompt: str, emit: Emit) -> None:
        """Call the function with ``prompt``."""
        self.check_over()
        ended, returned = threading.Event(), threading.Event()

        def pass_on(event: Event) -> None:
            if returned.is_set():
                self._late = event
                self.check_over()
            emit(event)
            if isinstance(event, TurnFinished | TurnFailed):
                ended.set()

        emit(TurnStarted(prompt))
        end: Event = TurnFinished()
        try:
            self._answer(prompt, pass_on)
        except Exception as error:
            self.exception = error
            end = TurnFailed(one_line(f"{type(error).__name__}: {error}"), "engine", "turn")
        returned.set()
        if not ended.is_set():
            emit(end)

    def check_over(self) -> None:
        """Raise `IllegalEvent` if an event came after the end of the turn that it belongs to."""
        if self._late is not None:
            raise IllegalEvent(
                f"{type(self._late).__name__} after the function {self.name} had returned: it must "
                "return when the turn is over, so let it wait for its threads"
            )

    def describe(self) -> dict[str, object]:
        """Return the name of the function."""
        return {"target": "own", "function": self.name}

    def close(self) -> None:
        """Nothing to release."""


def as_target(given: Target | Answer) -> Target:
    """Return ``given``, or the target that calls it. Raises `UsageError` if it is neither."""
    if isinstance(given, type):
        raise UsageError(f"{given.__qualname__} is a class, not a target", "give an object of it")
    if callable(getattr(given, "run", None)):
        for name in ("describe", "close"):
            if not callable(getattr(given, name, None)):
                raise UsageError(
                    f"a target needs the method {name}, and {type(given).__qualname__} lacks it",
                    "docs/how-to/python.md has an example",
                )
        return given  # type: ignore[return-value]  # a Target by its methods
    if callable(given):
        return FunctionTarget(given)
    raise UsageError(
        f"{type(given).__qualname__} is not something to measure",
        "give settings, a target such as 'sim:', a URL, an object with run(prompt, emit), or a "
        "function that takes a prompt and emit",
    )


def check_object(settings: Settings) -> None:
    """Raise `UsageError` for settings of engines: an object has its own, and would not see them."""
    given = [
        f"{section}.{name}"
        for section in _OF_ENGINES
        for name in sorted(getattr(settings, section).model_fields_set)
    ]
    given += [f"run.{name}" for name in _OF_THE_RUN if name in settings.run.model_fields_set]
    if not settings.run.target.startswith(OwnKind.name):
        given.append("run.target")
    for key in given:
        raise UsageError(
            f"{key} has no effect with a target that is a Python object", "take it out"
        )


class OwnKind(TargetKind):
    """A target that was given to `voicebench.measure` as a Python object."""

    name = "own:"
    example = ""
    why_no_history = "it has no method in_conversation (voicebench.targets.Conversing)"

    def check(self, settings: Settings) -> None:
        """Raise `UsageError`: only Python has the object."""
        raise UsageError(
            f"target {settings.run.target!r} is a Python object, which no command can measure",
            "call voicebench.measure with it (docs/how-to/python.md)",
        )
