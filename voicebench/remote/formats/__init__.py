"""What a peer's bytes mean: server-sent events, JSON, headers; and templates of requests."""
