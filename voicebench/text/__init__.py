"""Text on its way through a turn: prompts go in, chunks to be spoken come out."""
