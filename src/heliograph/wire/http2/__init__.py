"""
HTTP/2 from the client's end (RFC 9113), as a state machine without I/O.

Bytes that came go into ``Connection.receive_data``, bytes to send come out of
``data_to_send``, and each request ends exactly once. Three files, from the bottom up:

* ``frames.py``: what frames look like;
* ``fields.py``: header fields compressed (RFC 7541), by template;
* ``requests.py``: templates out of the words of HTTP;
* ``connection.py``: the rules of a connection.
"""

from heliograph.wire.http2.connection import (
    ACCEPTED,
    MAX_BODY_BYTES,
    Connection,
    End,
    GoAway,
    Key,
    Uncertain,
    Unprocessed,
)
from heliograph.wire.http2.fields import Template
from heliograph.wire.http2.frames import ErrorCode, ProtocolError
from heliograph.wire.http2.requests import request, split, template

__all__ = [
    "ACCEPTED",
    "MAX_BODY_BYTES",
    "Connection",
    "End",
    "ErrorCode",
    "GoAway",
    "Key",
    "ProtocolError",
    "Template",
    "Uncertain",
    "Unprocessed",
    "request",
    "split",
    "template",
]
