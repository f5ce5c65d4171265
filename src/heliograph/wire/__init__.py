"""Bytes and RFCs: pure functions, shared by the product and the sandbox."""
