"""Connections: opened before the turn, read as bytes arrive, bounded in time and size."""
