"""
Signed tokens as the three services check them (RFC 7515, RFC 7519).

Written apart from the product's own signing code on purpose: a mistake made there must not be
repeated by the one who checks.
"""

import binascii
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Self

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

_ES256_SIGNATURE_BYTES: Final = 64
"""R and S of 32 bytes each (RFC 7518 §3.4)."""


class BadTokenError(ValueError):
    """The text is no signed token, or its signature is not this key's."""


@dataclass(frozen=True, slots=True)
class SignedToken:
    """A token whose parts could be read; its signature has not been looked at."""

    header: Mapping[str, object]
    claims: Mapping[str, object]
    signed: bytes
    signature: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Take the compact form apart.

        Raises:
            BadTokenError: if it is not three parts of base64url with two JSON objects.
        """
        try:
            header, claims, signature = text.split(".")
            return cls(
                header=_json_object(header),
                claims=_json_object(claims),
                signed=f"{header}.{claims}".encode("ascii"),
                signature=base64url(signature),
            )
        except ValueError as error:
            raise BadTokenError("not a signed token in compact form") from error

    def verify_es256(self, key: ec.EllipticCurvePublicKey) -> None:
        """
        Nothing happens if this key signed the token with ES256.

        Raises:
            BadTokenError: if it did not.
        """
        if len(self.signature) != _ES256_SIGNATURE_BYTES:
            raise BadTokenError("an ES256 signature has 64 bytes")
        r, s = self.signature[:32], self.signature[32:]
        encoded = encode_dss_signature(int.from_bytes(r), int.from_bytes(s))
        self._verify("ES256", lambda: key.verify(encoded, self.signed, ec.ECDSA(SHA256())))

    def verify_rs256(self, key: rsa.RSAPublicKey) -> None:
        """
        Nothing happens if this key signed the token with RS256.

        Raises:
            BadTokenError: if it did not.
        """
        self._verify(
            "RS256", lambda: key.verify(self.signature, self.signed, padding.PKCS1v15(), SHA256())
        )

    def number(self, claim: str) -> float | None:
        """The claim if it is a number, such as a NumericDate; else None."""
        value = self.claims.get(claim)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def _verify(self, algorithm: str, check: Callable[[], None]) -> None:
        if self.header.get("alg") != algorithm:
            raise BadTokenError(f"alg is not {algorithm}")
        try:
            check()
        except InvalidSignature as error:
            raise BadTokenError("the signature does not match") from error


def base64url(text: str) -> bytes:
    """
    The bytes of base64url with or without padding.

    Raises:
        ValueError: if a character does not belong or the length is impossible.
    """
    bare = text.rstrip("=")
    if not all(char.isascii() and (char.isalnum() or char in "-_") for char in bare):
        raise ValueError("not base64url")
    try:
        return urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
    except binascii.Error as error:
        raise ValueError("not base64url") from error


def _json_object(text: str) -> dict[str, object]:
    return msgspec.json.decode(base64url(text), type=dict[str, object])
