"""Tables and drawings for a terminal."""
