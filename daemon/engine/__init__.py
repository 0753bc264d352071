"""llama.cpp: bindings, decoding, the worker process and its client in the hub."""
