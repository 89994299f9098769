"""Agents and clients by others against ours; each in an environment of its own."""
