"""Who said yes: consent per workspace, an organisation's policy, and what licence a workspace has."""
