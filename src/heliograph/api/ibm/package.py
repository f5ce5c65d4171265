"""
Push packages: what Safari wants of a web site before it lets it notify. Pure.

The form is Apple's ("Configuring Safari Push Notifications"): a zip of the site's description, its
icons, a manifest with a digest of each file, and the manifest's signature by the certificate of the
Website Push ID. Whether Apple takes that certificate, only Apple can say.
"""

import hashlib
import hmac
import io
import zipfile
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Literal, cast

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from heliograph.addresses import from_base64url
from heliograph.model import ApnsCertificate
from heliograph.wire import jws

Version = Literal[1, 2]
"""Of the manifest: SHA-1 digests, or SHA-512 digests that say so."""

_MADE: Final = (2026, 1, 1, 0, 0, 0)
"""One time in all packages, so that the same site has the same package."""


def build(
    site: Mapping[str, Any],
    icons: Mapping[str, bytes],
    identity: ApnsCertificate,
    *,
    service: str,
    token: str,
    version: Version,
) -> bytes:
    """
    A push package, as a zip.

    Args:
        site: The settings of Safari's web site.
        icons: The PNGs by their names.
        identity: The certificate of the Website Push ID, and its key.
        service: The address below which Safari speaks to us.
        token: What it shows us then; at least 16 characters.
        version: Of the manifest.
    """
    website = {
        "websiteName": site["websiteName"],
        "websitePushID": site["websitePushID"],
        "allowedDomains": [site["webSiteUrl"]],
        "urlFormatString": site["urlFormatString"],
        "authenticationToken": token,
        "webServiceURL": service,
    }
    files = {f"icon.iconset/{name}.png": icon for name, icon in icons.items()}
    files["website.json"] = msgspec.json.encode(website)
    manifest = msgspec.json.encode({name: _digest(each, version) for name, each in files.items()})
    files |= {"manifest.json": manifest, "signature": _signature(manifest, identity)}
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, _MADE), content, zipfile.ZIP_DEFLATED)
    return package.getvalue()


def authentication_token(secret: str, device: str) -> str:
    """What Safari shows us later, so that we know of which device it speaks."""
    name = jws.base64url(device.encode())
    return f"{name}.{hmac.digest(secret.encode(), f'safari/{device}'.encode(), 'sha256').hex()}"


def device_of(token: str) -> str:
    """
    The device that a token names, whoever has made it.

    Raises:
        ValueError: It is none.
    """
    return from_base64url(token.partition(".")[0]).decode()


def is_token_of(token: str, secret: str, device: str) -> bool:
    """Whether a token was given to a device."""
    return hmac.compare_digest(token.encode(), authentication_token(secret, device).encode())


def _digest(content: bytes, version: Version) -> str | dict[str, str]:
    if version == 1:
        return hashlib.sha1(content).hexdigest()  # noqa: S324  (Apple's format, not our choice)
    return {"hashType": "sha512", "hashValue": hashlib.sha512(content).hexdigest()}


def _signature(manifest: bytes, identity: ApnsCertificate) -> bytes:
    """A detached PKCS #7 signature in DER."""
    (leaf, *others), key = _opened(identity.certificate, identity.key)
    builder = pkcs7.PKCS7SignatureBuilder().set_data(manifest).add_signer(leaf, key, SHA256())
    for each in others:
        builder = builder.add_certificate(each)
    options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary]
    return builder.sign(Encoding.DER, options)


@lru_cache(maxsize=64)
def _opened(
    certificate: str, key: str
) -> tuple[list[x509.Certificate], RSAPrivateKey | EllipticCurvePrivateKey]:
    """Certificates and key; to open an RSA key takes many times as long as to sign with it."""
    opened = cast("RSAPrivateKey | EllipticCurvePrivateKey", jws.load_private_key(key))
    return x509.load_pem_x509_certificates(certificate.encode()), opened
