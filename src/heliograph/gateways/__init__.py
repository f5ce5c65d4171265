"""The three push services as pure functions: what to send, what the reply means."""
