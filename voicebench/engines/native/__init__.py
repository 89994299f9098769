"""Computation in C: the token of a language model, the window of a voice.

`common` has the threads that all share, `llama`, `hibari` and `vits` the networks. `built` has the
libraries that the installation has compiled, one for each level of instruction sets.
"""
