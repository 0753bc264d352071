"""What `foretype record` is made of: what the hub forwards of one file, and what becomes a session of it."""
