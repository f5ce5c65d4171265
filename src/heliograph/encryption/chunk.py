"""
What is encrypted at a stretch: one text for some browsers.

This is all that an encrypting process needs to know, and so it imports little.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from heliograph.wire import ece

Browser = tuple[bytes, bytes]
"""Its public key and its authentication secret."""

Bodies = list[bytes | None]
"""One for each browser, in order; None where its key or secret cannot be used."""

NewKey = Callable[[], ec.EllipticCurvePrivateKey]
"""Makes a key pair on P-256 that nobody has had before."""

Randomness = Callable[[int], bytes]
"""As many random bytes as asked for."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """What an encrypting process is asked: a text, the browsers, and how many key pairs."""

    plaintext: bytes = field(repr=False)
    browsers: Sequence[Browser] = field(repr=False)
    shares_key: bool


LENGTH_BYTES: Final = 4
"""A chunk and its bodies are MessagePack, each after its length, big-endian."""

to_wire: Final = msgspec.msgpack.Encoder().encode
chunk_of: Final = msgspec.msgpack.Decoder(Chunk).decode
bodies_of: Final = msgspec.msgpack.Decoder(Bodies).decode


def new_key() -> ec.EllipticCurvePrivateKey:
    """A key pair of OpenSSL's making: half the cost of one from random bytes of ours."""
    return ec.generate_private_key(ece.CURVE)


def senders(new_key: NewKey, *, share_key: bool) -> Iterator[ece.Sender]:
    """A sender for each message, without end: the same, or each with a key of its own."""
    if share_key:
        return repeat(ece.Sender(new_key()))
    return (ece.Sender(new_key()) for _ in repeat(None))


def encrypt(
    plaintext: bytes,
    browsers: Sequence[Browser],
    senders: Iterable[ece.Sender],
    *,
    randomness: Randomness,
) -> Bodies:
    """
    The text for each of the browsers, each with a salt of its own.

    Args:
        plaintext: At most ``ece.MAX_PLAINTEXT_BYTES``.
        browsers: Whom it is for.
        senders: At least as many.
        randomness: Asked once, for all the salts.
    """
    salts = randomness(ece.SALT_BYTES * len(browsers))
    starts = range(0, len(salts), ece.SALT_BYTES)
    return [
        _body(plaintext, browser, sender, salts[start : start + ece.SALT_BYTES])
        for browser, sender, start in zip(browsers, senders, starts, strict=False)
    ]


def _body(plaintext: bytes, browser: Browser, sender: ece.Sender, salt: bytes) -> bytes | None:
    p256dh, auth = browser
    try:
        return sender.encrypt(plaintext, p256dh=p256dh, auth=auth, salt=salt)
    except ValueError:
        return None
