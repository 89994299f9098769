"""Formats of messages: server-sent events, JSON, headers; and templates of requests."""
