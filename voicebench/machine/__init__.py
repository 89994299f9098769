"""The machine that measures: what it computes with, and what disturbs it."""
