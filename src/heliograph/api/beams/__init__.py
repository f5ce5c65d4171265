"""The wire API of Pusher Beams; what is known of it stands in README.md beside this file."""
