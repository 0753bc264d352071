"""The demo: a recorded editing session, replayed against a real session of the daemon."""
