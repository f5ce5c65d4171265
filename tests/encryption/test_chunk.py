"""What is encrypted at a stretch: one text for some browsers, read by another implementation."""

import os
from itertools import count

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from heliograph.encryption.chunk import (
    Chunk,
    bodies_of,
    chunk_of,
    encrypt,
    new_key,
    senders,
    to_wire,
)
from heliograph.wire import ece

KEYS = [new_key() for _ in range(3)]
AUTHS = [bytes([number]) * 16 for number in range(3)]
BROWSERS = [(ece.public_key_bytes(key), auth) for key, auth in zip(KEYS, AUTHS, strict=True)]


def encrypted(plaintext: bytes, *, share_key: bool) -> list[bytes | None]:
    return encrypt(
        plaintext, BROWSERS, senders(new_key, share_key=share_key), randomness=os.urandom
    )


def scalar(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_numbers().private_value.to_bytes(32)


def sender_points(bodies: list[bytes | None]) -> list[bytes]:
    """The key ids of the bodies, which are their senders' public keys (RFC 8291 §4)."""
    return [body[21:86] for body in bodies if body is not None]


@given(st.binary(max_size=ece.MAX_PLAINTEXT_BYTES), st.booleans())
def test_each_browser_reads_the_text(plaintext: bytes, share_key: bool) -> None:
    """
    Whatever the text, each browser's body opens with its key and secret.

    By the community's implementation as by ours.
    """
    bodies = encrypted(plaintext, share_key=share_key)

    assert [(plaintext, plaintext)] * 3 == [
        (
            http_ece.decrypt(body, private_key=key, auth_secret=auth),
            ece.decrypt(body or b"", private_key=scalar(key), auth=auth),
        )
        for body, key, auth in zip(bodies, KEYS, AUTHS, strict=True)
    ]


def test_each_message_has_a_key_pair() -> None:
    """Nothing in two messages is the same, unless it is asked for (RFC 8291 §3.1)."""
    assert 3 == len(set(sender_points(encrypted(b"text", share_key=False))))


def test_messages_can_share_a_key_pair() -> None:
    """One key pair for all of them, if that is asked for."""
    assert 1 == len(set(sender_points(encrypted(b"text", share_key=True))))


@given(st.lists(st.sampled_from(BROWSERS), max_size=40), st.booleans())
def test_no_salt_is_used_twice(browsers: list[tuple[bytes, bytes]], share_key: bool) -> None:
    """
    Each message has 16 bytes of its own of the randomness that was given.

    With a shared key this alone parts two messages for one browser.
    """
    numbers = count()

    def randomness(size: int) -> bytes:
        return b"".join(next(numbers).to_bytes(16) for _ in range(size // 16))

    bodies = encrypt(
        b"text", browsers, senders(new_key, share_key=share_key), randomness=randomness
    )

    expected = [number.to_bytes(16) for number in range(len(browsers))]
    assert expected == [body[:16] for body in bodies if body is not None]


@given(
    st.lists(
        st.tuples(
            st.binary(max_size=70) | st.binary(min_size=64, max_size=64).map(b"\x04".__add__),
            st.binary(max_size=20),
        )
        | st.just((BROWSERS[0][0], bytes(15)))
        | st.just((b"\x04" + bytes(64), bytes(16))),
        max_size=5,
    )
)
def test_a_bad_key_costs_nobody_else(strangers: list[tuple[bytes, bytes]]) -> None:
    """Among browsers whose keys cannot be used, the others' bodies are made all the same."""
    browsers = [each for stranger in strangers for each in (stranger, BROWSERS[1])]
    bodies = encrypt(b"text", browsers, senders(new_key, share_key=False), randomness=os.urandom)

    assert [None, b"text"] * len(strangers) == [
        body and http_ece.decrypt(body, private_key=KEYS[1], auth_secret=AUTHS[1])
        for body in bodies
    ]


def test_a_new_key_is_on_the_curve() -> None:
    """A sender's key pair is one that browsers can agree with."""
    assert ece.is_public_key(ece.public_key_bytes(new_key()))


@given(
    st.binary(),
    st.lists(st.tuples(st.binary(), st.binary())),
    st.booleans(),
    st.lists(st.none() | st.binary()),
)
def test_chunks_and_bodies_survive_the_pipe(
    plaintext: bytes,
    browsers: list[tuple[bytes, bytes]],
    shares_key: bool,
    bodies: list[bytes | None],
) -> None:
    """What a process is asked and what it answers arrive as they were sent."""
    chunk = Chunk(plaintext, browsers, shares_key=shares_key)

    assert (chunk, bodies) == (chunk_of(to_wire(chunk)), bodies_of(to_wire(bodies)))


def test_a_chunk_does_not_show_what_it_holds() -> None:
    """Neither text nor secrets are in what a chunk looks like when printed."""
    chunk = Chunk(b"the text", [(b"the key", b"the secret")], shares_key=True)

    assert "Chunk(shares_key=True)" == repr(chunk)
