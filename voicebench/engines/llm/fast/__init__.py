"""The fast engine: Llama-family decoders without the costs of a general library.

A small model on a CPU spends its time reading weights, and whatever a framework does between the
products is added to every token. This engine reads the usual model folder itself (safetensors,
``config.json``, ``tokenizer.json``), keeps the weights in the narrowest numbers that pass the
quality gate, computes the system prompt once, and does per token what the arithmetic needs.

It knows the Llama family: Llama, SmolLM2, Mistral, Qwen2 and 2.5, Qwen3. For every other model
`shape.read_shape` says why not, and transformers takes over.
"""
