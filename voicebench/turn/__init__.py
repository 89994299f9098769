"""One turn: its events with their times, sealed into a timeline."""
