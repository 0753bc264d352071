"""What else a model may see: definitions of what stands near the cursor, diagnostics, related files.

Nothing here is ever waited for by a prediction: it uses what is known, and the next keystroke has more. Knows nothing
of prompts.
"""
