"""From trained weights to a GGUF that llama.cpp runs exactly so, quantised, and compared with its quantisations."""
