"""Spoken calls as a calculation: events, scripts, what was heard, and what follows from it."""
