"""
Encrypted message bodies: ``aes128gcm`` (RFC 8188), keyed for Web Push (RFC 8291).

A body is a header, then records::

    salt 16 | record size 4 | key id length 1 | key id | record | record | …

Each record is AES-128-GCM over its text, one delimiter byte (0x01, or 0x02 in the
last record) and zero padding; its nonce is the message's nonce XOR its place in the
row. For Web Push the key id is the sender's public key and there is one record. We
write one record without padding and read any number with any padding.

Public keys are *points*: 65 bytes, 0x04 and two coordinates (SEC 1 §2.3.3). Private
keys travel as *scalars*: 32 bytes, big-endian.
"""

from functools import lru_cache
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

RECORD_SIZE: Final = 4096
"""The record size that we announce: no push service must take a longer body (RFC 8030 §7.2)."""

MAX_PLAINTEXT_BYTES: Final = 3993
"""Longest text whose encrypted body is at most 4,096 bytes: less 86 of header, 1, and 16 of tag."""

POINT_BYTES: Final = 65
SCALAR_BYTES: Final = 32
SALT_BYTES: Final = 16
AUTH_BYTES: Final = 16

CURVE: Final = ec.SECP256R1()
"""P-256: what the keys of both sides are on."""

KNOWN_POINTS: Final = 4096
"""
How many browsers' keys are kept ready for use, some 12 MB of them.

To decode one, see that it is on the curve and use it for the first time is a ninth of an
encryption.
"""

_ECDH: Final = ec.ECDH()
_UNCOMPRESSED: Final = b"\x04"
_TAG_BYTES: Final = 16
_FIXED_HEADER_BYTES: Final = SALT_BYTES + 4 + 1
_LAST: Final = b"\x02"
_NOT_LAST: Final = b"\x01"


class Sender:
    """
    One side of the agreement: a key pair, and the point that goes with each message.

    The sender's key pair is new for each message (RFC 8291 §3.1), or the same for the
    messages of one publish, each to another browser. The latter is sound: what a text is
    encrypted with comes of this key *and* of the browser's key, its secret, and a salt
    (RFC 8291 §3.4, RFC 8188 §2.2), so no two messages share a content key, and the
    browser's key is one that only the browser has. It costs two things. Whoever sees the
    messages sees the same point in them, and knows that they belong together. And whoever
    reads this key out of memory, before it is forgotten, reads all of them.
    """

    def __init__(self, private_key: ec.EllipticCurvePrivateKey) -> None:
        """Write the point out once, for it is wanted in each message."""
        self._private_key = private_key
        self._point = public_key_bytes(private_key)

    def encrypt(self, plaintext: bytes, *, p256dh: bytes, auth: bytes, salt: bytes) -> bytes:
        """
        The body of a push message that only one browser can read (RFC 8291 §4).

        Args:
            plaintext: At most ``MAX_PLAINTEXT_BYTES``.
            p256dh: The browser's public key, a point.
            auth: The browser's authentication secret, 16 bytes.
            salt: 16 random bytes, never used twice with the same pair of keys.

        Raises:
            ValueError: The text is too long, or a key, secret or salt is not what it
                should be.
        """
        if len(plaintext) > MAX_PLAINTEXT_BYTES:
            raise ValueError(f"{len(plaintext)} bytes is more than {MAX_PLAINTEXT_BYTES}")
        key = _web_push_key(
            self._private_key.exchange(_ECDH, _point(p256dh)),
            auth=auth,
            receiver=p256dh,
            sender=self._point,
        )
        return encrypt_content(plaintext, key=key, salt=salt, key_id=self._point)


def encrypt(
    plaintext: bytes,
    *,
    p256dh: bytes,
    auth: bytes,
    private_key: ec.EllipticCurvePrivateKey,
    salt: bytes,
) -> bytes:
    """The same for a single message: what a ``Sender`` of this key encrypts."""
    return Sender(private_key).encrypt(plaintext, p256dh=p256dh, auth=auth, salt=salt)


def decrypt(body: bytes, *, private_key: bytes, auth: bytes) -> bytes:
    """
    The text of a push message, as its browser reads it (RFC 8291 §4).

    Args:
        body: Header and records, whole.
        private_key: The browser's scalar.
        auth: The browser's authentication secret, 16 bytes.

    Raises:
        ValueError: Anything at all is wrong: cut short, altered, for another
            browser, or no such body in the first place. Nothing else is raised.
    """
    _salt, _record_size, sender, _records = _split(body)
    receiver = private_key_of(private_key)
    key = _web_push_key(
        receiver.exchange(_ECDH, _point(sender)),
        auth=auth,
        receiver=public_key_bytes(receiver),
        sender=sender,
    )
    return decrypt_content(body, key=key)


def encrypt_content(plaintext: bytes, *, key: bytes, salt: bytes, key_id: bytes = b"") -> bytes:
    """
    One unpadded record under a key that both sides hold (RFC 8188 §2).

    Args:
        plaintext: At most ``RECORD_SIZE`` less 17 bytes.
        key: The input keying material, of any length.
        salt: 16 random bytes.
        key_id: At most 255 bytes that tell the reader which key this is.
    """
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt is {SALT_BYTES} bytes, not {len(salt)}")
    if len(plaintext) > RECORD_SIZE - 1 - _TAG_BYTES:
        raise ValueError("the text does not fit one record")
    content_key, nonce = _content_key_and_nonce(key, salt)
    record = AESGCM(content_key).encrypt(nonce, plaintext + _LAST, None)
    record_size = RECORD_SIZE.to_bytes(4, "big")
    return b"".join((salt, record_size, len(key_id).to_bytes(1, "big"), key_id, record))


def decrypt_content(body: bytes, *, key: bytes) -> bytes:
    """
    The text of a body under a key that both sides hold (RFC 8188 §2).

    Raises:
        ValueError: Cut short, altered, or not such a body. Nothing else is raised.
    """
    salt, record_size, _key_id, records = _split(body)
    content_key, nonce = _content_key_and_nonce(key, salt)
    cipher = AESGCM(content_key)
    starts = range(0, len(records), record_size)
    return b"".join(
        _open_record(
            cipher,
            _nonce_of(nonce, sequence),
            records[start : start + record_size],
            is_last=start == starts[-1],
        )
        for sequence, start in enumerate(starts)
    )


def private_key_of(scalar: bytes) -> ec.EllipticCurvePrivateKey:
    """
    The key pair that a scalar makes.

    Raises:
        ValueError: It is not 32 bytes, or not between 1 and the order of P-256
            (which 32 random bytes miss once in four thousand million).
    """
    if len(scalar) != SCALAR_BYTES:
        raise ValueError(f"a P-256 private key is {SCALAR_BYTES} bytes, not {len(scalar)}")
    return ec.derive_private_key(int.from_bytes(scalar, "big"), CURVE)


def public_key_bytes(private_key: ec.EllipticCurvePrivateKey) -> bytes:
    """The point that others know this key by."""
    return private_key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def is_public_key(p256dh: bytes) -> bool:
    """Whether these bytes are an uncompressed point on P-256; never raises."""
    try:
        _point(p256dh)
    except ValueError:
        return False
    return True


@lru_cache(KNOWN_POINTS)
def _point(data: bytes) -> ec.EllipticCurvePublicKey:
    if len(data) != POINT_BYTES or data[:1] != _UNCOMPRESSED:
        raise ValueError(f"a P-256 public key is {POINT_BYTES} bytes that start with 0x04")
    return ec.EllipticCurvePublicKey.from_encoded_point(CURVE, data)


def _web_push_key(shared: bytes, *, auth: bytes, receiver: bytes, sender: bytes) -> bytes:
    """RFC 8291 §3.4: the shared secret, bound to the subscription and to both points."""
    if len(auth) != AUTH_BYTES:
        raise ValueError(f"an authentication secret is {AUTH_BYTES} bytes, not {len(auth)}")
    pseudorandom = _hmac(auth, shared)
    return _hmac(pseudorandom, b"WebPush: info\x00" + receiver + sender + b"\x01")


def _content_key_and_nonce(key: bytes, salt: bytes) -> tuple[bytes, bytes]:
    """RFC 8188 §2.2 and §2.3: 16 bytes to encrypt with, 12 to start the nonces from."""
    pseudorandom = _hmac(salt, key)
    content_key = _hmac(pseudorandom, b"Content-Encoding: aes128gcm\x00\x01")
    nonce = _hmac(pseudorandom, b"Content-Encoding: nonce\x00\x01")
    return content_key[:16], nonce[:12]


_BLOCK_BYTES: Final = 64
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))


def _hmac(key: bytes, message: bytes) -> bytes:
    """
    HMAC-SHA-256, which is both steps of HKDF when 32 bytes are enough (RFC 5869).

    As RFC 2104 §2 writes it, for keys of at most a block. Five of these are made for each
    browser, and ``hmac.digest`` takes half as long again for one.
    """
    block = key.ljust(_BLOCK_BYTES, b"\0")
    inner = sha256(block.translate(_INNER) + message).digest()
    return sha256(block.translate(_OUTER) + inner).digest()


def _nonce_of(first: bytes, sequence: int) -> bytes:
    return (int.from_bytes(first, "big") ^ sequence).to_bytes(12, "big")


def _split(body: bytes) -> tuple[bytes, int, bytes, bytes]:
    """Salt, record size, key id and the records' bytes (RFC 8188 §2.1)."""
    if len(body) < _FIXED_HEADER_BYTES:
        raise ValueError("the body ends inside its header")
    salt = body[:SALT_BYTES]
    record_size = int.from_bytes(body[SALT_BYTES : SALT_BYTES + 4], "big")
    if record_size <= 1 + _TAG_BYTES:
        raise ValueError(f"a record of {record_size} bytes cannot hold anything")
    end = _FIXED_HEADER_BYTES + body[_FIXED_HEADER_BYTES - 1]
    if len(body) <= end:
        raise ValueError("the body ends before its first record")
    return salt, record_size, body[_FIXED_HEADER_BYTES:end], body[end:]


def _open_record(cipher: AESGCM, nonce: bytes, record: bytes, *, is_last: bool) -> bytes:
    """
    The text of one record.

    The delimiter is what tells a whole message from one cut at a record's border, so
    each place in the row has its own.
    """
    try:
        padded = cipher.decrypt(nonce, record, None)
    except InvalidTag as error:
        raise ValueError("a record does not open with this key") from error
    text = padded.rstrip(b"\x00")
    if text[-1:] != (_LAST if is_last else _NOT_LAST):
        raise ValueError("a record has the wrong delimiter")
    return text[:-1]
