"""Voices of this process: text chunks to samples, window by window."""
