"""Safari's own protocol: the push package, and what the browser tells later."""

import hashlib
import io
import json
import zipfile
from typing import Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import pkcs7
from pyasn1.codec.der import decoder, encoder
from pyasn1.type import univ
from pyasn1_modules import rfc2315

from api import credentials
from api.ibm.test_settings import SAFARI, instance_of, p12, put_form
from api.ibm.words import App
from heliograph.api.ibm import icons

pytestmark = pytest.mark.asyncio(loop_scope="module")

PUSH_ID = SAFARI["websitePushID"]
_MESSAGE_DIGEST: Final = "1.2.840.113549.1.9.4"


async def set_up(app: App, **files: tuple[str, bytes]) -> None:
    """A site with its certificate."""
    put = await put_form(
        app, "safariWebConf", SAFARI, certificate=("site.p12", p12(PUSH_ID)), **files
    )
    assert 200 == put.status_code, put.text


async def package(app: App, version: str = "v2") -> zipfile.ZipFile:
    """The package that Safari fetches; it has no credential of ours."""
    reply = await app.http.post(
        app.path(f"/settings/safariWebConf/{version}/pushPackages/{PUSH_ID}"),
        json={"deviceId": "D", "userId": "u1"},
    )
    assert (200, "application/zip") == (reply.status_code, reply.headers["content-type"])
    return zipfile.ZipFile(io.BytesIO(reply.content))


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_a_package_has_all_that_safari_wants(app: App, version: str) -> None:
    """Contract §5.5, §6: description, six icons, a digest of each file; in both forms."""
    await set_up(app)

    archive = await package(app, version)

    names = {f"icon.iconset/{name}.png" for name in icons.SIZES} | {"website.json"}
    assert names | {"manifest.json", "signature"} == set(archive.namelist())
    manifest = json.loads(archive.read("manifest.json"))
    assert names == set(manifest)
    for name in names:
        content = archive.read(name)
        sha1 = hashlib.sha1(content).hexdigest()  # noqa: S324  (Apple's format)
        sha512 = hashlib.sha512(content).hexdigest()
        later = {"hashType": "sha512", "hashValue": sha512}
        assert manifest[name] == (sha1 if version == "v1" else later)
    site = json.loads(archive.read("website.json"))
    assert (PUSH_ID, ["https://shop.example"]) == (site["websitePushID"], site["allowedDomains"])
    assert site["webServiceURL"].endswith("/settings/safariWebConf")
    assert 16 <= len(site["authenticationToken"])


async def test_a_package_is_signed_by_the_sites_certificate(app: App) -> None:
    """
    The manifest's detached signature is by the certificate that was put (RFC 2315 §9).

    It is read with another's ASN.1 library; the certificate's key checks what is signed.
    """
    await set_up(app)
    archive = await package(app)
    manifest, signature = archive.read("manifest.json"), archive.read("signature")
    known: Any = (await instance_of(app)).website
    leaf = x509.load_pem_x509_certificates(known.certificate.encode())[0]

    outer, _ = decoder.decode(signature, asn1Spec=rfc2315.ContentInfo())
    signed, _ = decoder.decode(outer["content"], asn1Spec=rfc2315.SignedData())
    (signer,) = signed["signerInfos"]
    attributes = {str(each["type"]): each["values"] for each in signer["authenticatedAttributes"]}
    digest, _ = decoder.decode(attributes[_MESSAGE_DIGEST][0])
    whole = encoder.encode(
        signer["authenticatedAttributes"].clone(tagSet=univ.SetOf.tagSet, cloneValueFlag=True)
    )

    assert hashlib.sha256(manifest).digest() == bytes(digest)
    assert not signed["contentInfo"]["content"].hasValue()
    assert [leaf] == pkcs7.load_der_pkcs7_certificates(signature)
    key: Any = leaf.public_key()
    key.verify(bytes(signer["encryptedDigest"]), whole, ECDSA(SHA256()))


async def test_a_signature_holds_the_certificates_between(app: App) -> None:
    """Since February 2016 Apple wants its intermediate one beside the site's: what came with it."""
    own, between = [credentials.apns_certificate(topic=each) for each in (PUSH_ID, "web.apple")]
    leaf, issuer = [
        x509.load_pem_x509_certificate(each["certificate"].encode()) for each in (own, between)
    ]
    key: Any = serialization.load_pem_private_key(own["key"].encode(), None)
    file = serialization.pkcs12.serialize_key_and_certificates(
        b"site", key, leaf, [issuer], serialization.NoEncryption()
    )
    await put_form(app, "safariWebConf", SAFARI, certificate=("site.p12", file))

    signature = (await package(app)).read("signature")

    assert {leaf, issuer} == set(pkcs7.load_der_pkcs7_certificates(signature))


async def test_a_site_brings_its_own_icons(app: App) -> None:
    """What it does not bring is ours; what is no icon of that size is refused."""
    await set_up(app, icon_16x16=("a.png", icons.sun(16)))

    archive = await package(app)
    wrong = await put_form(
        app,
        "safariWebConf",
        SAFARI,
        certificate=("site.p12", p12(PUSH_ID)),
        icon_16x16=("a.png", icons.sun(17)),
    )

    assert icons.sun(16) == archive.read("icon.iconset/icon_16x16.png")
    for name, size in icons.SIZES.items():
        assert icons.problem_of(archive.read(f"icon.iconset/{name}.png"), size) is None
    assert (400, True) == (wrong.status_code, "16 by 16" in wrong.json()["message"])


async def test_a_person_who_forbids_it_is_left_alone(app: App) -> None:
    """Safari says so with the package's token: the device with that address is forgotten."""
    await set_up(app)
    token = json.loads((await package(app)).read("website.json"))["authenticationToken"]
    await app.register("D", platform="WEB_SAFARI", token="ab" * 32)
    bears = {"authorization": f"ApplePushNotifications {token}"}

    def url(address: str) -> str:
        return app.path(f"/settings/safariWebConf/v2/devices/{address}/registrations/{PUSH_ID}")

    permitted = await app.http.post(url("AB" * 32), headers=bears)
    another = await app.http.delete(url("cd" * 32), headers=bears)
    still_there = await app.ask("GET", "/devices/D")
    forged = await app.http.delete(
        url("AB" * 32), headers={"authorization": "ApplePushNotifications RA.00"}
    )
    forbidden = await app.http.delete(url("AB" * 32), headers=bears)

    assert [200, 200, 200, 401, 200] == [
        each.status_code for each in (permitted, another, still_there, forged, forbidden)
    ]
    assert 404 == (await app.ask("GET", "/devices/D")).status_code


async def test_an_app_with_the_same_token_is_no_site(app: App) -> None:
    """Whoever may ask for a package may name any device; only Safari's are forgotten."""
    await set_up(app)
    token = json.loads((await package(app)).read("website.json"))["authenticationToken"]
    await app.register("D", platform="A", token="ab" * 32)

    path = f"/settings/safariWebConf/v2/devices/{'ab' * 32}/registrations/{PUSH_ID}"
    reply = await app.http.delete(
        app.path(path), headers={"authorization": f"ApplePushNotifications {token}"}
    )

    assert 200 == reply.status_code
    assert 200 == (await app.ask("GET", "/devices/D")).status_code


@pytest.mark.parametrize(
    "headers",
    [
        {"accept": "application/zip"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "body=application/json"},
    ],
)
async def test_safari_may_say_what_it_likes_of_its_body(app: App, headers: dict[str, str]) -> None:
    """Contract §5.5: Apple does not say what Safari sends besides the JSON of the page."""
    await set_up(app)

    reply = await app.http.post(
        app.path(f"/settings/safariWebConf/v2/pushPackages/{PUSH_ID}"),
        content=b'{"deviceId": "D", "userId": ""}',
        headers=headers,
    )

    assert (200, "application/zip") == (reply.status_code, reply.headers["content-type"])


async def test_what_safari_complains_of_is_heard(app: App) -> None:
    """It may hold anything: it is answered, and kept nowhere."""
    before = app.dump()

    reply = await app.http.post(
        app.path("/settings/safariWebConf/v1/log"), content=b'{"logs": ["x"]}'
    )

    assert 200 == reply.status_code
    assert before == app.dump()


@pytest.mark.parametrize(
    "path, status, code",
    [
        ("v2/pushPackages/web.other", 404, "FPWSE0001E"),
        ("v3/pushPackages/web.com.example.shop", 404, "FPWSE0001E"),
    ],
)
async def test_a_package_that_there_is_not(app: App, path: str, status: int, code: str) -> None:
    """Another site's, or of another form."""
    await set_up(app)

    reply = await app.http.post(app.path(f"/settings/safariWebConf/{path}"), json={"deviceId": "D"})

    assert (status, code) == (reply.status_code, reply.json()["code"])


async def test_without_a_certificate_there_is_no_package(app: App) -> None:
    """Contract §6: a clear error that says what to put."""
    reply = await app.http.post(
        app.path(f"/settings/safariWebConf/v2/pushPackages/{PUSH_ID}"), json={"deviceId": "D"}
    )

    assert (404, "FPWSE0003E") == (reply.status_code, reply.json()["code"])
    assert "safariWebConf" in reply.json()["message"]
