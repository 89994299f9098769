"""What bytes of a peer mean: server-sent events, JSON, headers; and templates of what is sent."""
