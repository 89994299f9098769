"""What every test may count on."""

from __future__ import annotations

import signal

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Let Ctrl-C reach the processes that tests start.

    A shell that runs the suite in the background has it ignore SIGINT, and what is ignored stays
    ignored in every process that the tests start.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
