"""Faults between client and server: a proxy in a process of its own makes them on request."""
