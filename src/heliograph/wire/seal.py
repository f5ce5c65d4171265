"""
Secrets at rest: what the database holds of credentials and keys.

A sealed value is::

    version 1 | nonce 12 | AES-256-GCM of the text, and its tag 16

The key comes from the master key by HKDF-SHA256 (RFC 5869). The *context*, which
says whose value this is, is authenticated along with it: a value copied to another
row or column does not open there.
"""

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE_BYTES: Final = 12

_VERSION: Final = b"\x01"
_INFO: Final = b"heliograph seal 1"
_TAG_BYTES: Final = 16
_KEY_BYTES: Final = 32


class Seal:
    """
    Closes and opens values with one master key.

    Args:
        master_key: Any text with enough chance in it (32 random bytes, written
            out). It is not a password: it is not stretched.

    Raises:
        ValueError: The master key is empty.
    """

    __slots__ = ("_cipher",)

    def __init__(self, master_key: str) -> None:
        if not master_key:
            raise ValueError("the master key is empty")
        key = HKDF(SHA256(), length=_KEY_BYTES, salt=None, info=_INFO).derive(master_key.encode())
        self._cipher = AESGCM(key)

    def seal(self, plaintext: bytes, *, context: str, nonce: bytes) -> bytes:
        """
        Close a value; 29 bytes longer than it was.

        Args:
            plaintext: The value.
            context: Whose it is, for instance ``instance/{id}/vapid``.
            nonce: 12 random bytes, never used twice.
        """
        if len(nonce) != NONCE_BYTES:
            raise ValueError(f"a nonce is {NONCE_BYTES} bytes, not {len(nonce)}")
        return _VERSION + nonce + self._cipher.encrypt(nonce, plaintext, _bound_to(context))

    def open(self, sealed: bytes, *, context: str) -> bytes:
        """
        The value that was closed in this context.

        Raises:
            ValueError: It does not open: another master key, another context, or
                altered. Nothing else is raised.
        """
        if sealed[:1] != _VERSION or len(sealed) < 1 + NONCE_BYTES + _TAG_BYTES:
            raise ValueError("this is not a sealed value")
        nonce, body = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, body, _bound_to(context))
        except InvalidTag as error:
            raise ValueError(
                "the sealed value does not open: wrong master key, moved or altered"
            ) from error


def _bound_to(context: str) -> bytes:
    return _VERSION + context.encode()
