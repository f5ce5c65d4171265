"""Encryption of web messages, in this process or in processes of its own."""
