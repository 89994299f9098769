"""Runs under load, read back from their folders and judged again from their turns."""
