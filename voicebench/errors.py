"""The errors that a user can get, as one tree of classes.

An error says what was wrong, where (file and key, URL, device) and what to do. The command line
prints it as one sentence and exits with `exit_code`. Any other exception is a defect of voicebench
and shows its traceback.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voicebench.events import Fault, Stage


class ExitCode(IntEnum):
    """The exit codes of all commands."""

    PASSED = 0
    """Every gate passes."""
    DEFECT = 1
    """A defect of voicebench itself; it prints a traceback."""
    BAD_USAGE = 2
    """Wrong usage or configuration, or a file that cannot be read or written."""
    GATE_FAILED = 3
    """A gate failed, or a figure became worse than allowed."""
    COULD_NOT_MEASURE = 4
    """Could not measure: the target is down, a model is missing, every turn failed."""
    UNDECIDED = 5
    """Measured, but undecided or invalid, for example because the machine was too noisy."""
    INTERRUPTED = 130
    """Interrupted; every finished turn is kept."""


OUT_OF_MEMORY = (
    "there is too little memory for this; "
    "end other programs, raise the limit (ulimit -v), or take a smaller model"
)
"""The message for a `MemoryError`."""


class VoicebenchError(Exception):
    """An error with a message for the user.

    ``message`` says what was wrong and where; ``remedy`` says what to do.
    """

    exit_code = ExitCode.DEFECT

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}; {self.remedy}" if self.remedy else self.message


class UsageError(VoicebenchError):
    """The command line, a setting, a gate or an input file is wrong."""

    exit_code = ExitCode.BAD_USAGE


class SettingsError(UsageError):
    """A setting is unknown, of a wrong type or out of range."""


class CannotMeasure(VoicebenchError):
    """Nothing could be measured: the target is down, or every turn failed."""

    exit_code = ExitCode.COULD_NOT_MEASURE


class ModelError(CannotMeasure):
    """A model is missing, damaged, in an unknown format, or could not be fetched."""


class DeviceError(UsageError):
    """A computing or sound device does not exist or cannot be used."""


class ResultsError(UsageError):
    """A run folder or file cannot be read or written."""


class EngineError(CannotMeasure):
    """An engine failed in the middle of its work; the turn fails, the run goes on.

    ``fault`` is the kind of failure. ``stage`` is where it happened; None for the engine's own
    stage.
    """

    fault: Fault = "engine"
    stage: Stage | None = None


class TooLong(EngineError):
    """The request is too long for the engine. This is the caller's fault, not the engine's."""

    fault: Fault = "refused"


class IllegalEvent(Exception):
    """A target broke the rules of the timeline. This is a defect of voicebench."""
