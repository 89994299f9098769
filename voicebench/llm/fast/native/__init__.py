"""The C decoder and what compiles it."""
