"""Turns become numbers: metrics, their distributions, and differences between two runs."""
