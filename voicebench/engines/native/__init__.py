"""Computation in C, compiled on this machine: the token of a language model, the window of a
voice. `common` has the threads that both share, `llama` and `vits` the two networks.
"""
