"""
HTTP/2 from the client's end (RFC 9113), as a state machine without I/O.

Bytes that came go into ``Connection.receive_data``, bytes to send come out of
``data_to_send``, and each request ends exactly once. From the top down:

* ``connection.py``: what its owner sees of a connection;
* ``receiving.py``: frames in, and the rules for them; ``replies.py``: the short cut for
  the commonest; ``decompressor.py``: header fields read (RFC 7541);
* ``sending.py``: requests out, within what the peer allows; ``compressor.py``: header
  fields written; ``templates.py``: what many requests have in common, and ``requests.py``
  how it is made out of the words of HTTP;
* ``streams.py``: what both halves know of the streams; ``ends.py``: how one may end;
* ``frames.py``, ``literals.py``: what frames look like, and the primitives of HPACK.
"""

from heliograph.wire.http2.connection import Connection
from heliograph.wire.http2.ends import ACCEPTED, End, GoAway, Key, Uncertain, Unprocessed
from heliograph.wire.http2.frames import ErrorCode, ProtocolError
from heliograph.wire.http2.receiving import MAX_BODY_BYTES
from heliograph.wire.http2.requests import request, split, template
from heliograph.wire.http2.templates import Template, Values

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
    "Values",
    "request",
    "split",
    "template",
]
