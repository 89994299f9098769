"""Everything that can go wrong for a user, as one tree.

An error says what was wrong, where (file and key, URL, device) and what to do about it. The
command line prints it as one sentence and exits with `exit_code`; whatever is not in this tree is
a defect of voicebench and shows its traceback.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voicebench.events import Fault, Stage


class ExitCode(IntEnum):
    """What a command says to the shell that called it."""

    PASSED = 0
    DEFECT = 1
    BAD_USAGE = 2
    GATE_FAILED = 3
    COULD_NOT_MEASURE = 4
    UNDECIDED = 5
    """Measured, but undecided or invalid."""
    INTERRUPTED = 130


OUT_OF_MEMORY = (
    "there is too little memory for this; "
    "end other programs, raise the limit (ulimit -v), or take a smaller model"
)
"""What is said where Python has no memory left."""


class VoicebenchError(Exception):
    """A mistake or mishap that one sentence can explain.

    ``message`` names what was wrong and where; ``remedy`` says what to do.
    """

    exit_code = ExitCode.DEFECT

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}; {self.remedy}" if self.remedy else self.message


class UsageError(VoicebenchError):
    """The command line, a setting, a gate or an input file is not what it may be."""

    exit_code = ExitCode.BAD_USAGE


class SettingsError(UsageError):
    """A setting is unknown, of a wrong type or out of range."""


class CannotMeasure(VoicebenchError):
    """Nothing could be measured: the target is down, or every turn failed."""

    exit_code = ExitCode.COULD_NOT_MEASURE


class ModelError(CannotMeasure):
    """A model is missing, broken, of another format, or could not be fetched."""


class DeviceError(UsageError):
    """A computing or sound device does not exist or cannot be used."""


class ResultsError(UsageError):
    """A results folder or file cannot be read or written."""


class EngineError(CannotMeasure):
    """An engine failed in the middle of its work; the turn fails, the run goes on.

    ``fault`` is the kind of failure; ``stage`` is where it happened, None for the engine's own
    stage.
    """

    fault: Fault = "engine"
    stage: Stage | None = None


class TooLong(EngineError):
    """What was asked does not fit the engine: its caller's doing, not a fault of the engine."""

    fault: Fault = "refused"


class IllegalEvent(Exception):
    """A target broke the rules of the timeline: a defect of voicebench, never a user's mistake."""
