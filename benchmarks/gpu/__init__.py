"""Speed and agreement on a GPU, measured on models of random weights and on the embedded voice.

    python -m benchmarks.gpu --out build/gpu

Nothing is downloaded. Language models have the shapes of Llama 3.2 with 1 and 3 billion parameters,
in bfloat16, and a head of their own: with a head tied to the embedding, random weights repeat one
word. The VITS voice has the shape of MMS-TTS. Only the hibari voice has real weights, if the cache
has it.

What a random model says means nothing, but it costs what a trained one costs. If a tokenizer is at
hand, the head gives chances to words alone, so that replies become text chunks and speech.
"""
