"""Numbers become verdicts: gates, comparisons with a baseline, noise, and advice."""
