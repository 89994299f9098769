"""The first audio of pipelines side by side: one run, the same prompts, turn by turn in turn.

``make bench`` (or ``python -m benchmarks.first_audio``) measures voicebench's own pipeline beside
three others that answer the same prompts with the same language model and the same voice:

- **a** the whole reply by transformers, then the whole text by onnxruntime;
- **b** the reply streamed by transformers, a text chunk at a time by onnxruntime;
- **c** llama.cpp, and onnxruntime speaking a window of frames at a time;
- **d** voicebench as it comes, with 3 and with 2 words in the first text chunk.

Every turn goes through voicebench's recorder, so the same code computes the same metric for all.
What belongs to a pipeline's own idea differs between the rows; all else is the same: prompts,
system prompt, sampling (greedy), limit on tokens, end of the reply, chunker, voice file, and the
number of threads.

===========  =====================================================================================
`rows`       the pipelines, each as a target that voicebench can measure
`llama`      llama.cpp as an engine
`onnx_voice` onnxruntime as a voice, a sentence or a window of frames at a time
`rounds`     which turn is taken when; every turn is on disk before the next one begins
`ratios`     percentiles, and how many times faster one row is than another
`promises`   what this project has promised, and whether this run holds it
`bandwidth`  how fast this machine reads its memory, the floor under all of it
`stages`     where the time to the first audio goes
`growth`     the cost as the work grows
`tries`      what could be tried next, measured
`startup`    the memory and the start of a run, as a user starts it
`page`       all of it as Markdown, and docs/performance.md
===========  =====================================================================================
"""
