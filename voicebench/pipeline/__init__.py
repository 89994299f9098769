"""A language model and a synthesizer at work together, and the protocols that both follow."""
