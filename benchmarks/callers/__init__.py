"""Several callers at once, on `voicebench serve` and on servers by others, in one run.

``make bench`` (or ``python -m benchmarks.callers``) starts both sides as processes of their own:

- **voicebench**: ``voicebench serve`` with its embedded models; a caller's turn goes over the
  voice socket;
- **peer**: llama.cpp's server with a slot for each caller, and `piper-tts`'s HTTP server, behind
  one cascade of voicebench's own clients: text chunks of 3 words, then 8.

A **caller** has connections of its own. It takes a turn, hears the answer out, thinks, and takes
the next one. Prompts, thinking times and beginnings follow from a seed, so both sides meet the same
callers. Each **level** (a number of callers) is measured on both sides before the next one, in two
halves: voicebench, peer, peer, voicebench. Replies end after 24 tokens on both sides.

A level is **carried** if p95 of first audio is below 300 ms, 99 % of the turns have no gap in
playback, and 99 % do not fail. A side carries as many callers as the highest level up to which it
carries all levels.

===========  =====================================================================================
`sides`      how the servers of a side are started, and what a caller talks to
`calls`      the callers: turns, playback, thinking
`consumed`   processor time of the servers, and energy where the processor tells it
`outcome`    figures of a level, callers carried, and the promise
===========  =====================================================================================
"""
