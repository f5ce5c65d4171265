"""Heliograph: a self-hosted push notification server that sends to a person."""

__version__ = "0.1.0"
