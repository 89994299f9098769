"""A sprint: a stretch of work on a voice assistant, and its effect on the figures.

`measured` takes the figures from recorded runs, `imported` from a file that a person wrote. `score`
gives the score card, `analysis` the sentences, `sprint_page` the Markdown. The JSON beside it is
what the next sprint compares itself with.
"""
