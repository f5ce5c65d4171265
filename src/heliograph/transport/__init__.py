"""The only outgoing network."""
