"""Language models of this process: prompts to tokens."""
