"""The community's implementation of RFC 8188 and RFC 8291 and ours read what the other writes."""

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from heliograph.wire import ece

BROWSER = ec.generate_private_key(ec.SECP256R1())
BROWSER_POINT = ece.public_key_bytes(BROWSER)
BROWSER_SCALAR = BROWSER.private_numbers().private_value.to_bytes(32)
SENDER = ec.generate_private_key(ec.SECP256R1())

secrets_of_16_bytes = st.binary(min_size=16, max_size=16)
texts = st.binary(max_size=ece.MAX_PLAINTEXT_BYTES)


@st.composite
def texts_and_record_sizes(draw: st.DrawFn) -> tuple[bytes, int]:
    """
    A text, and a record size that makes up to forty records of it.

    The text is not empty: of that, http_ece writes no record at all.
    """
    record_size = draw(st.integers(18, 5000))
    return draw(st.binary(min_size=1, max_size=min(40 * (record_size - 17), 9000))), record_size


@given(texts, secrets_of_16_bytes, secrets_of_16_bytes)
def test_it_reads_what_we_write_to_a_browser(plaintext: bytes, auth: bytes, salt: bytes) -> None:
    """A Web Push body of ours opens with its decryption, whatever the text, secret and salt."""
    body = ece.encrypt(plaintext, p256dh=BROWSER_POINT, auth=auth, private_key=SENDER, salt=salt)

    assert plaintext == http_ece.decrypt(body, private_key=BROWSER, auth_secret=auth)


def test_it_reads_the_longest_that_we_write() -> None:
    """A body of 4,096 bytes is no more to it than one record."""
    plaintext = b"x" * ece.MAX_PLAINTEXT_BYTES
    auth, salt = bytes(16), bytes(range(16))
    body = ece.encrypt(plaintext, p256dh=BROWSER_POINT, auth=auth, private_key=SENDER, salt=salt)

    assert (4096, plaintext) == (
        len(body),
        http_ece.decrypt(body, private_key=BROWSER, auth_secret=auth),
    )


@given(texts_and_record_sizes(), secrets_of_16_bytes)
def test_we_read_what_it_writes_to_a_browser(
    text_and_record_size: tuple[bytes, int], auth: bytes
) -> None:
    """Its Web Push bodies open with ours, of one record or of many."""
    plaintext, record_size = text_and_record_size
    body = http_ece.encrypt(
        plaintext, private_key=SENDER, dh=BROWSER_POINT, auth_secret=auth, rs=record_size
    )

    assert plaintext == ece.decrypt(body, private_key=BROWSER_SCALAR, auth=auth)


@given(st.binary(max_size=4079), st.binary(min_size=16, max_size=16), secrets_of_16_bytes)
def test_it_reads_what_we_write_under_a_shared_key(
    plaintext: bytes, key: bytes, salt: bytes
) -> None:
    """A body of ours without Web Push's agreement on a key opens with its decryption."""
    body = ece.encrypt_content(plaintext, key=key, salt=salt)

    assert plaintext == http_ece.decrypt(body, key=key)


@given(texts_and_record_sizes(), secrets_of_16_bytes)
def test_we_read_what_it_writes_under_a_shared_key(
    text_and_record_size: tuple[bytes, int], key: bytes
) -> None:
    """Its bodies under a shared key open with ours, of one record or of many."""
    plaintext, record_size = text_and_record_size
    body = http_ece.encrypt(plaintext, key=key, rs=record_size)

    assert plaintext == ece.decrypt_content(body, key=key)
