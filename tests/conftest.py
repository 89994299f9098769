"""What every test may count on."""

from __future__ import annotations

import ctypes
import gc
import json
import signal
from html import escape

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

# The same examples every time, however slow the machine is: `--hypothesis-profile default` goes
# looking for others.
hypothesis_settings.register_profile(
    "same-everywhere",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
hypothesis_settings.load_profile("same-everywhere")


def pytest_configure(config: pytest.Config) -> None:
    """Let Ctrl-C reach the processes that tests start.

    A shell that runs the suite in the background has it ignore SIGINT, and what is ignored stays
    ignored in every process that the tests start.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Let no garbage collection go through all tests again: what is loaded by now stays."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put each chart's checked specification in place of its drawing, which takes far longer."""

    def check(spec: str) -> str:
        json.loads(spec, parse_constant=lambda number: pytest.fail(f"{number} in a chart"))
        return f"<svg >{escape(spec)}</svg>"

    monkeypatch.setattr("vl_convert.vegalite_to_svg", check)


@pytest.fixture(scope="session")
def c_library_or_none() -> ctypes.CDLL | None:
    """The C library, compiled in the user's cache; None without a C compiler."""
    from voicebench.engines.native.library import NoLibrary, native_library

    try:
        return native_library()
    except NoLibrary:
        return None


@pytest.fixture
def c_library(c_library_or_none: ctypes.CDLL | None) -> ctypes.CDLL:
    """The compiled C library; without a C compiler the tests that need it are skipped."""
    if c_library_or_none is None:
        pytest.skip("there is no C compiler")
    return c_library_or_none
