"""Work that waits for a worker, and is held by one worker at a time."""
