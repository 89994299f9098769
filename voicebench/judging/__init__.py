"""Judges the figures of a run: gates, comparison with a baseline, noise, and advice."""
