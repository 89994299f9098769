"""The Python interface: measure, read a run back, judge it; and a plugin for pytest."""
