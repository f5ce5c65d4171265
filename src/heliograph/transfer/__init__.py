"""Moving in and out: devices in files, with their tokens, people and interests."""
