"""What never enters a snapshot or a prompt: excluded and ignored paths, secrets. An unknown is a no."""
