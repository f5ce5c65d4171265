"""The demonstration as apps and back ends of Pusher Beams see it."""
