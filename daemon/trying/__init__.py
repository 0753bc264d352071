"""A candidate beside the model in use: whose documents are whose, and who answers when the candidate fails."""
