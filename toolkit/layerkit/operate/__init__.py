"""What is published, looked at and cleared up: `list` and `prune`."""
