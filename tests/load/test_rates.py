"""Rates and times of options."""

from __future__ import annotations

import pytest

from voicebench.errors import UsageError
from voicebench.load.rates import read_rate, read_time


@pytest.mark.parametrize(("text", "per_s"), [("30/min", 0.5), ("4/s", 4), ("36/h", 0.01)])
def test_rates(text: str, per_s: float) -> None:
    assert read_rate(text, "--calls") == pytest.approx(per_s)


@pytest.mark.parametrize("text", ["30", "0/s", "-1/s", "4/day", "1e9/s", "9999999/s", ""])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--calls.*'30/min'"):
        read_rate(text, "--calls")


@pytest.mark.parametrize(("text", "s"), [("90s", 90), ("10m", 600), ("2min", 120), ("8h", 28800)])
def test_times(text: str, s: float) -> None:
    assert read_time(text, "--for") == s


@pytest.mark.parametrize("text", ["10", "1d", "", "-1s", "1e3s"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--for.*'10m'"):
        read_time(text, "--for")
