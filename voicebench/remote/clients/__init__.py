"""Language models and voices behind a wire, one module a protocol."""
