"""Calls that are really placed: the caller's thread, his voice, and scripts in files."""
