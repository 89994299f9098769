"""Gates: the sentences that a run is judged by, and their verdicts.

A gate is ``metric.statistic operator limit``::

    first_audio.p95 < 300ms
    llm_total.mean < 200ms
    first_audio.under(300ms) >= 90%
    errors.rate <= 0

The metric is a name of `voicebench.metrics.METRICS` with or without ``_ms``, or ``errors``. The
statistic is ``mean``, ``min``, ``max``, ``stdev``, any percentile ``pNN``, ``under(limit)`` (the
share of turns under a limit) or, for ``errors``, ``rate``. A duration needs its unit (``ms`` or
``s``); a share is a ratio or a percentage. Whatever is unknown is refused when it is read, so that
a gate on nothing can never pass.
"""

from __future__ import annotations

import difflib
import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from voicebench.errors import UsageError
from voicebench.metrics import METRICS, Metric
from voicebench.summary import Distribution, Summary

CLOSE_MARGIN = 0.20
"""A gate that misses its limit by at most this share of it is close; it still does not pass."""


class Verdict(StrEnum):
    """What a gate says of a run."""

    PASS = "PASS"
    CLOSE = "CLOSE"
    FAIL = "FAIL"
    UNDECIDED = "UNDECIDED"
    NOT_MEASURED = "NOT MEASURED"


OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}

_GATE = re.compile(
    r"""^\s*(?P<metric>[a-z0-9_]+)\s*\.\s*
        (?P<statistic>[a-z]+[0-9.]*)\s*(\(\s*(?P<argument>[^)]*?)\s*\))?\s*
        (?P<operator><=|>=|<|>)\s*
        (?P<limit>\S.*?)\s*$""",
    re.VERBOSE | re.IGNORECASE,
)
_QUANTITY = re.compile(r"^(?P<number>[0-9]+(\.[0-9]+)?)\s*(?P<unit>[a-z%/]*)$", re.IGNORECASE)
_PERCENTILE = re.compile(r"^p(?P<q>[1-9][0-9]?(\.[0-9])?)$")

_UNIT_FACTORS: dict[str, dict[str, Decimal]] = {
    "ms": {"ms": Decimal(1), "s": Decimal(1000)},
    "s": {"s": Decimal(1), "ms": Decimal("0.001")},
    "count": {"": Decimal(1)},
    "x": {"": Decimal(1), "x": Decimal(1)},
    "per_s": {"": Decimal(1), "/s": Decimal(1)},
    "bool": {"": Decimal(1), "%": Decimal("0.01")},
    "share": {"": Decimal(1), "%": Decimal("0.01")},
}
"""Decimal, because 95 * 0.01 is more than 19 of 20 turns in binary fractions."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One limit on one statistic of one metric. ``metric`` is None for the error rate."""

    text: str
    metric: Metric | None
    statistic: str
    argument: float | None
    operator: str
    limit: float

    @property
    def unit(self) -> str:
        """The unit of the observed value and of the limit."""
        if self.metric is None or self.statistic == "under":
            return "share"
        return self.metric.unit

    @property
    def percentile(self) -> float | None:
        """The ``q`` of a gate on a percentile, 0 to 100; None for any other statistic."""
        match = _PERCENTILE.match(self.statistic)
        return float(match["q"]) if match else None


@dataclass(frozen=True, slots=True)
class GateResult:
    """A gate, what was observed for it, and the verdict."""

    gate: Gate
    observed: float | None
    verdict: Verdict
    note: str = ""

    def as_dict(self) -> dict[str, object]:
        """Return the entry of ``summary.json``."""
        return {
            "gate": self.gate.text,
            "observed": self.observed,
            "unit": self.gate.unit,
            "limit": self.gate.limit,
            "verdict": self.verdict.value,
            "note": self.note,
        }


def parse_gate(text: str) -> Gate:
    """Read one gate. Raises `UsageError`, naming what is unknown and what is allowed."""
    match = _GATE.match(text)
    if match is None:
        raise UsageError(
            f"gate {text!r} is not 'metric.statistic operator limit'",
            "write for example 'first_audio.p95 < 300ms'",
        )
    metric = _find_metric(match["metric"].lower(), text)
    statistic = match["statistic"].lower()
    _check_statistic(statistic, match["argument"], metric, text)
    argument = None
    if statistic == "under":
        assert metric is not None
        argument = _quantity(match["argument"] or "", metric.unit, text)
    unit = "share" if metric is None or statistic == "under" else metric.unit
    limit = _quantity(match["limit"], unit, text)
    return Gate(" ".join(text.split()), metric, statistic, argument, match["operator"], limit)


def judge(gate: Gate, summary: Summary) -> GateResult:
    """Return the verdict of ``gate`` on the observed figures."""
    observed, note = _observe(gate, summary)
    if observed is None:
        return GateResult(gate, None, Verdict.NOT_MEASURED, "no turn shows this figure")
    return GateResult(gate, observed, _compare(gate, observed), note)


def overall(results: Sequence[GateResult]) -> Verdict:
    """Return the run's verdict: the worst of its gates; PASS where there are none."""
    order = (Verdict.FAIL, Verdict.NOT_MEASURED, Verdict.CLOSE, Verdict.UNDECIDED)
    verdicts = {result.verdict for result in results}
    return next((verdict for verdict in order if verdict in verdicts), Verdict.PASS)


def _compare(gate: Gate, observed: float) -> Verdict:
    if OPERATORS[gate.operator](observed, gate.limit):
        return Verdict.PASS
    miss, slack = abs(observed - gate.limit), abs(gate.limit) * CLOSE_MARGIN
    near = slack > 0 and (miss <= slack or math.isclose(miss, slack))
    return Verdict.CLOSE if near else Verdict.FAIL


def _observe(gate: Gate, summary: Summary) -> tuple[float | None, str]:
    if gate.metric is None:
        return summary.error_rate, f"{summary.failed} of {summary.turns} turns failed"
    distribution = summary.metrics[gate.metric.name]
    if not distribution.values:
        return None, ""
    if gate.statistic == "under":
        assert gate.argument is not None
        return distribution.share_under(gate.argument), ""
    match = _PERCENTILE.match(gate.statistic)
    if match is not None:
        value, carried = distribution.quantile(float(match["q"]))
        count = len(distribution.values)
        return value, "" if carried else f"maximum of {count}: too few for {gate.statistic}"
    return _moment(distribution, gate.statistic), ""


def _moment(distribution: Distribution, statistic: str) -> float | None:
    match statistic:
        case "mean":
            return distribution.mean()
        case "stdev":
            return distribution.deviation()
        case "min":
            return min(distribution.values)
        case _:
            return max(distribution.values)


def _find_metric(name: str, text: str) -> Metric | None:
    if name == "errors":
        return None
    names = {known: metric for metric in METRICS for known in (metric.name, metric.short_name)}
    if name in names:
        return names[name]
    close = difflib.get_close_matches(name, [*names, "errors"], n=1)
    hint = f"did you mean {close[0]!r}?" if close else "`voicebench config --metrics` lists them"
    raise UsageError(f"gate {text!r} names an unknown metric {name!r}", hint)


def _check_statistic(
    statistic: str, argument: str | None, metric: Metric | None, text: str
) -> None:
    if metric is None:
        allowed, legal = "rate", statistic == "rate" and argument is None
    else:
        allowed = "mean, min, max, stdev, p1 to p99.9, under(limit)"
        plain = statistic in ("mean", "min", "max", "stdev") or _PERCENTILE.match(statistic)
        legal = bool(plain) if argument is None else statistic == "under"
    if not legal:
        raise UsageError(f"gate {text!r} has an unknown statistic {statistic!r}", f"use {allowed}")


def _quantity(text: str, unit: str, gate: str) -> float:
    factors = _UNIT_FACTORS[unit]
    match = _QUANTITY.match(text)
    if match is None or match["unit"].lower() not in factors:
        amount = "0.9" if unit in ("share", "bool") else "300"
        examples = " or ".join(
            "'90%'" if known == "%" else f"'{amount}{known}'" for known in factors
        )
        raise UsageError(f"gate {gate!r} has a limit {text!r} of another unit", f"write {examples}")
    value = float(Decimal(match["number"]) * factors[match["unit"].lower()])
    if not math.isfinite(value):
        raise UsageError(f"gate {gate!r} has a limit that is no finite number")
    return value
