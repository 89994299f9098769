"""The run folder: the artefact of a measurement."""
