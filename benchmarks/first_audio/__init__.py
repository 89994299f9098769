"""First audio of several pipelines, side by side in one run on the same prompts.

``make bench`` (or ``python -m benchmarks.first_audio``) measures voicebench's own pipeline beside
four others that answer the same prompts with the same language model:

- **a** the whole reply by transformers, then the whole text by onnxruntime;
- **b** the reply streamed by transformers, a text chunk at a time by onnxruntime;
- **c** llama.cpp, and onnxruntime speaking a window of frames at a time;
- **e** llama.cpp, and voicebench's voice by its own package (onnxruntime), a chunk at a time;
- **d** voicebench with its defaults, with 3 and with 2 words in the first text chunk.

Every turn goes through voicebench's recorder, so the same code computes the metrics of all. These
are the same for all rows: prompts, system prompt, sampling (greedy), limit on tokens, end of the
reply, chunker, and number of threads. The voice of (a) to (c) is one for `piper-tts`, which is the
usual synthesizer beside llama.cpp; (d) and (e) have voicebench's default.

===========  =====================================================================================
`rows`       the pipelines, each as a target that voicebench can measure
`llama`      llama.cpp as an engine
`onnx_voice` onnxruntime as a voice, a sentence or a window of frames at a time
`rounds`     the order of the turns; every turn is on disk before the next one begins
`ratios`     percentiles, and how many times faster one row is than another
`promises`   the project's promises, and whether this run keeps them
`bandwidth`  how fast this machine reads its memory: the floor for every stage
`stages`     where the time to the first audio goes
`growth`     the cost of longer prompts, chunks and replies, and of more turns at once
`tries`      three ideas for an earlier first audio, measured
`startup`    memory and start-up time of a run
`page`       all figures as Markdown, for docs/explanation/performance.md
===========  =====================================================================================
"""
