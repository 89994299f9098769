"""Benchmarks of the ears and of the agent in this process."""
