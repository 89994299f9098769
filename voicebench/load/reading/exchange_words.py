"""Errors of an exchange as data, for another process."""

from __future__ import annotations

from dataclasses import dataclass

from voicebench.events import Fault, Stage
from voicebench.remote.failure import RemoteError


@dataclass(frozen=True, slots=True)
class ErrorWords:
    """A `RemoteError` as data, for another process."""

    message: str
    remedy: str
    fault: Fault
    stage: Stage | None

    def error(self) -> RemoteError:
        """Return the error."""
        return RemoteError(self.message, self.remedy, fault=self.fault, stage=self.stage)


def words_of(error: RemoteError) -> ErrorWords:
    """Return an error as data."""
    return ErrorWords(error.message, error.remedy, error.fault, error.stage)
