"""VITS: the network that turns text into a waveform, in windows of frames.

Written from the paper (Kim, Kong, Son: *Conditional Variational Autoencoder with Adversarial
Learning for End-to-End Text-to-Speech*, 2021, arXiv:2106.06103) and its sources: relative positions
(Shaw et al., arXiv:1803.02155), HiFi-GAN (Kong et al., arXiv:2010.05646), WaveNet
(arXiv:1609.03499), rational-quadratic splines (Durkan et al., arXiv:1906.04032).

Only the parts that speak are here, not those for training (posterior encoder, discriminators). All
tensors are *time first*, ``(time, channels)``, one utterance at a time: no batch, so no masks. An
`arithmetic` computes the network, in C or in torch. Between its calls all data is numpy on the
host, and torch is imported only if it computes.

    symbols ─▶ text encoder ─▶ durations ─▶ prior (one mean and scale a frame) + noise
                                                └─▶ flow, reversed ─▶ decoder ─▶ samples
               └───────── once a text ────────┘    └─── window by window ───┘
"""
