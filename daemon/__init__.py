"""The daemon: sessions, scheduling, prompts, the engine, and the command line."""
