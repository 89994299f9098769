"""The price of a level, said before it is held: turns and time until its gates can be decided."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from voicebench.errors import UsageError
from voicebench.load.evidence import caution, turns_needed, turns_of_a_sequence
from voicebench.load.level_rule import LEAST_BLOCKS
from voicebench.load.load_gate import LoadGate
from voicebench.load.turn_mix import OF_TEXT, TurnMix, kinds_of


@dataclass(frozen=True, slots=True)
class GateCost:
    """The turns that one gate needs if none is bad."""

    gate: LoadGate
    fixed_n: int
    """Turns that show the share at a number fixed beforehand: 59 for 95 %, 299 for 99 %."""
    turns: int
    """Turns that show it to someone who looks after every block, with the caution that a variance
    between few blocks needs."""


@dataclass(frozen=True, slots=True)
class LevelCost:
    """The cost of a level."""

    turns_per_s: float
    first_s: float
    """Dropped at the beginning, at least."""
    block_s: float
    longest_s: float
    gates: tuple[GateCost, ...]

    @property
    def blocks(self) -> int:
        """The blocks of the longest window."""
        return int(self.longest_s / self.block_s + 1e-9)

    @property
    def turns(self) -> float:
        """The expected turns of the longest window."""
        return self.turns_per_s * self.longest_s

    @property
    def turns_to_decide(self) -> int:
        """The turns that the hardest gate needs if none is bad; 0 without gates."""
        return max([gate.turns for gate in self.gates], default=0)

    @property
    def seconds_to_decide(self) -> float:
        """The measured time that every gate needs if no turn is bad."""
        least = LEAST_BLOCKS * self.block_s
        needed = self.turns_to_decide / self.turns_per_s if self.turns_per_s > 0 else math.inf
        blocks = math.ceil(needed / self.block_s - 1e-9) if math.isfinite(needed) else math.inf
        return max(least, blocks * self.block_s) if self.gates else 0.0

    @property
    def can_decide(self) -> bool:
        """Whether the longest window is enough if no turn is bad."""
        return self.seconds_to_decide <= self.longest_s + 1e-6

    def as_dict(self) -> dict[str, object]:
        """Return the entry of ``--dry-run --json``."""
        return {
            "turns_per_s": self.turns_per_s,
            "dropped_s": self.first_s,
            "block_s": self.block_s,
            "longest_s": self.longest_s,
            "turns_in_longest": self.turns,
            "turns_to_decide": self.turns_to_decide,
            "seconds_to_decide": self.seconds_to_decide if self.turns_per_s > 0 else None,
            "gates": [
                {
                    "gate": cost.gate.gate.text,
                    "share": cost.gate.share,
                    "turns_if_none_is_bad": cost.fixed_n,
                    "turns_to_decide": cost.turns,
                }
                for cost in self.gates
            ],
        }


def level_cost(
    gates: Sequence[LoadGate],
    turns_per_s: float,
    *,
    first_s: float,
    block_s: float,
    longest_s: float,
    error: float,
    mix: TurnMix = OF_TEXT,
) -> LevelCost:
    """Return the cost of a level whose result is wrong with a probability of ``error`` at most.

    ``mix`` says which turns it has. Raises `UsageError` for a gate for which no turn counts then.
    """
    blocks = max(int(longest_s / block_s + 1e-9), LEAST_BLOCKS)
    widening = caution(blocks, error)
    costs = []
    for gate in gates:
        counted = counted_share(gate, mix)
        needed = widening * turns_of_a_sequence(gate.share, error)
        fixed_n = math.ceil(turns_needed(gate.share) / counted)
        costs.append(GateCost(gate, fixed_n, math.ceil(needed / counted)))
    return LevelCost(turns_per_s, first_s, block_s, longest_s, tuple(costs))


def counted_share(gate: LoadGate, mix: TurnMix) -> float:
    """Return the share of the turns that count for ``gate``. Raises `UsageError` if none does."""
    metric, text = gate.gate.metric, gate.gate.text
    why_not = mix.why_not_shown(metric)
    if why_not:
        raise UsageError(f"gate {text!r} cannot be judged: {why_not}", "leave the gate out")
    counted = mix.counted_share(metric) if gate.limits_turns else 1.0 - mix.cut_share
    if counted > 0:
        return counted
    if mix.kinds is None:
        raise UsageError(
            f"no turn counts for gate {text!r} if callers interrupt {100 * mix.cut_share:g} % of "
            "the turns",
            "leave the gate out, or change load.interrupt (--interrupt '20% exp:1.5s')",
        )
    kinds = " or ".join(kinds_of(metric)) if metric is not None else "line"
    raise UsageError(
        f"no turn counts for gate {text!r}: the script has no {kinds}",
        "leave the gate out, or give a script with one (--script)",
    )
