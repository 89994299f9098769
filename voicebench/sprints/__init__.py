"""A sprint: a stretch of work on a voice assistant, and what it did to the figures.

`readings` are what a sprint says of a metric, `measured` takes them from recorded runs and
`imported` from a file that somebody wrote; `score` gives the score card, `analysis` the sentences,
`page` the Markdown in the words of `words`. The JSON beside the Markdown is what the next sprint
compares itself with.
"""
