"""
The senders: programs of their own that read a task and print a report.

Those in Go and for Node.js are files beside these modules (``*.go``, ``*.mjs``).
"""
