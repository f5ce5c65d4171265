"""
A process that encrypts: chunks come in at standard input, bodies leave at standard output.

It lives as long as its input is open. Signals to end are for the server, which finishes
what it has in hand and then closes this input; and if the server is killed, its end of
the pipe goes with it.
"""

import secrets
import signal
import sys
from typing import BinaryIO

from heliograph.encryption.chunk import (
    LENGTH_BYTES,
    chunk_of,
    encrypt,
    new_key,
    senders,
    to_wire,
)


def main() -> None:
    """Say that we are ready by a length of nothing, then answer each chunk."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # nobody waits for the answer any more
    _write(sys.stdout.buffer, b"")
    while data := _read(sys.stdin.buffer):
        chunk = chunk_of(data)
        bodies = encrypt(
            chunk.plaintext,
            chunk.browsers,
            senders(new_key, share_key=chunk.shares_key),
            randomness=secrets.token_bytes,
        )
        _write(sys.stdout.buffer, to_wire(bodies))


def _read(source: BinaryIO) -> bytes:
    """The next chunk; nothing at the end of the input, even one in the middle of a chunk."""
    length = int.from_bytes(source.read(LENGTH_BYTES), "big")
    data = source.read(length)
    return data if len(data) == length else b""


def _write(target: BinaryIO, data: bytes) -> None:
    target.write(len(data).to_bytes(LENGTH_BYTES, "big") + data)
    target.flush()


if __name__ == "__main__":
    main()
