"""
A program that opens one .p12 file: it comes in at standard input, what is in it leaves.

It bounds itself before it reads, so that it ends even when nobody waits for it any more.
"""

import resource
import sys
from contextlib import suppress
from typing import Final

import msgspec

from heliograph.gateways import apple_certificate

REMAINING_SECONDS: Final = 2
"""Of a processor's time; Keychain's files take a hundredth."""

_MOST_BYTES: Final = 2**30
"""Of memory: a file says itself as well how much of it is to be used."""


class Locked(msgspec.Struct):
    """A file, and the password that it came with."""

    content: bytes
    password: str


class Opened(msgspec.Struct):
    """What is in it, or why nobody knows."""

    certificate: str = ""
    key: str = ""
    problem: str | None = None


def opened(file: Locked) -> Opened:
    """A file, opened. Never raises."""
    try:
        return Opened(*apple_certificate.from_pkcs12(file.content, file.password))
    except ValueError as found:
        return Opened(problem=str(found))


def main() -> None:
    """Answer once."""
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    _bound(resource.RLIMIT_CPU, int(used) + 1 + REMAINING_SECONDS)
    _bound(resource.RLIMIT_AS, _MOST_BYTES)
    _bound(resource.RLIMIT_CORE, 0)  # it would hold a key
    file = msgspec.json.decode(sys.stdin.buffer.read(), type=Locked)
    sys.stdout.buffer.write(msgspec.json.encode(opened(file)))


def _bound(what: int, most: int) -> None:
    with suppress(ValueError, OSError):  # where a system has no such bound, or a lower one
        resource.setrlimit(what, (most, most))


if __name__ == "__main__":
    main()
