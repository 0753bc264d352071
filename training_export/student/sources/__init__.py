"""Where the student's code comes from: pinned archives, local folders, consecutive releases; licences; the split.

Knows nothing of edits: it hands over whole files.
"""
