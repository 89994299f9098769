"""VITS, the network: text in, waveform out, in windows of frames.

Written from the paper (Kim, Kong, Son: *Conditional Variational Autoencoder with Adversarial
Learning for End-to-End Text-to-Speech*, 2021, arXiv:2106.06103), with what it builds on: relative
positions (Shaw et al., arXiv:1803.02155), HiFi-GAN (Kong et al., arXiv:2010.05646), WaveNet
(arXiv:1609.03499), rational-quadratic splines (Durkan et al., arXiv:1906.04032).

Only speaking is here; what a voice needs while it is trained (posterior encoder, discriminators)
is left out. All tensors are *time first*, ``(time, channels)``, one utterance at a time: there is
no batch, so there are no masks. An `arithmetic` computes it, in C or in torch; between its
calls everything is numpy on the host, and torch is imported only where it computes.

    symbols ─▶ text encoder ─▶ durations ─▶ prior (one mean and scale a frame) + noise
                                                └─▶ flow, reversed ─▶ decoder ─▶ samples
               └───────── once a text ────────┘    └─── window by window ───┘
"""
