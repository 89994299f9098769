"""The reader: one thread reads the answers of thousands of turns, and stamps them at once."""
