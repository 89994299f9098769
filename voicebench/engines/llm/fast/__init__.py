"""The fast engine: Llama-family decoders without the overhead of a general library.

A small model on a CPU spends its time reading weights, and everything that a framework does between
the products adds to every token. This engine reads a usual model folder (safetensors,
``config.json``, ``tokenizer.json``), stores the weights in the narrowest numbers that pass the
quality check, and computes the system prompt once.

It computes the Llama family: Llama, SmolLM2, Mistral, Qwen2 and 2.5, Qwen3. For other models
`model_shape.read_shape` raises `Unsupported` with the reason, and transformers computes them.
"""
