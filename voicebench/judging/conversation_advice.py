"""Advice for conversations whose late turns answer clearly later than their first ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from voicebench.figures.columns import Columns
from voicebench.figures.metrics import FIRST_AUDIO, Metric
from voicebench.figures.turn_numbers import FIRST_TOKEN
from voicebench.judging.advice_sentences import Advice, advice

LATE_FACTOR = 1.5
LEAST_MS = 10.0
"""Late turns get a sentence if their median is this many times that of the first turns, and this
much later."""
LEAST_TURNS = 3
"""The fewest values on either side."""
CACHED_SHARE = 0.8
"""A server that says of this share of a late prompt that it was not computed is believed to keep
the history."""


def late_turns(columns: Columns) -> Iterator[Advice]:
    """Compare the turns in the last third of the conversations with the first turns.

    Three quarters of the late ones must be later than three quarters of the first ones.
    """
    numbers = columns.traits["conversation_turn"]
    found = numbers[~np.isnan(numbers)]
    if not found.size:
        return
    last = float(found.max())
    late = numbers > max(1.0, last * 2 / 3)
    for metric in (FIRST_TOKEN, FIRST_AUDIO):
        first_values = _values(columns, metric, numbers == 1)
        late_values = _values(columns, metric, late)
        if min(first_values.size, late_values.size) < LEAST_TURNS:
            continue
        first_ms, late_ms = float(np.median(first_values)), float(np.median(late_values))
        is_clear = np.percentile(late_values, 25) > np.percentile(first_values, 75)
        if is_clear and late_ms > LATE_FACTOR * first_ms and late_ms - first_ms > LEAST_MS:
            share = _cached_share(columns, late)
            yield advice(
                "history computed again" if share < CACHED_SHARE else "late turns",
                metric=metric.short_name,
                from_turn=int(numbers[late].min()),
                late_ms=late_ms,
                factor_x=late_ms / max(first_ms, 1e-3),
                first_ms=first_ms,
                cached_share=share,
            )
        return


def _values(columns: Columns, metric: Metric, among: NDArray[np.bool_]) -> NDArray[np.float64]:
    values = columns.values[metric.name][among]
    return values[~np.isnan(values)]


def _cached_share(columns: Columns, late: NDArray[np.bool_]) -> float:
    """Return the share of the late prompts that was not computed, as the server says; 0 if not."""
    cached, prompt = (columns.traits[name][late] for name in ("cached_tokens", "prompt_tokens"))
    known = ~np.isnan(cached) & (prompt > 0)
    return float(np.median(cached[known] / prompt[known])) if known.any() else 0.0
