"""The demonstration as apps and back ends of IBM Push Notifications see it."""
