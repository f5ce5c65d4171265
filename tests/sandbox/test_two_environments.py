"""Both of Apple's environments, and client certificates, over real TLS and HTTP/2."""

import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from heliograph.sandbox import Authority, Credentials, Sandbox
from heliograph.sandbox.devices import AppleEnvironment, Device, Platform
from heliograph.sandbox.exchange import Gateway
from heliograph.sandbox.provider_certificate import issue
from sandbox.senders import provider_token

ALERT = b'{"aps":{"alert":"Hello"}}'
TOPIC = {"apns-topic": "com.example.app"}
PRODUCTION, SANDBOX = AppleEnvironment.PRODUCTION, AppleEnvironment.SANDBOX


def mint(sandbox: Sandbox, environment: AppleEnvironment) -> Device:
    now = datetime.now(UTC)
    return sandbox.devices.mint(Platform.APNS, now=now, environment=environment)


def url(sandbox: Sandbox, environment: AppleEnvironment, device: Device) -> str:
    name = "apns" if environment is PRODUCTION else "apns_sandbox"
    return f"{sandbox.addresses()[name]}/3/device/{device.key}"


def client_with(authority: Authority, folder: Path, pair: tuple[str, str]) -> httpx.AsyncClient:
    """A sender that shows this certificate."""
    (folder / "certificate.pem").write_text(pair[0])
    (folder / "key.pem").write_text(pair[1])
    context = authority.client_context()
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return httpx.AsyncClient(http1=False, http2=True, verify=context)


@pytest.fixture
async def certified(sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A sender with the certificate that the sandbox publishes."""
    shown = sandbox.credentials()["apns_certificate"]
    pair = (str(shown["certificate"]), str(shown["key"]))
    async with client_with(sandbox.authority, tmp_path, pair) as client:
        yield client


async def test_each_environment_knows_its_own_tokens(
    sandbox: Sandbox, credentials: Credentials, http2_client: httpx.AsyncClient
) -> None:
    """One key sends to both; a token means something at one address only, and the inbox is one."""
    authorization = f"bearer {provider_token(credentials, now=datetime.now(UTC))}"
    headers = TOPIC | {"authorization": authorization}
    devices = {each: mint(sandbox, each) for each in AppleEnvironment}
    answers = {
        (at, of): await http2_client.post(url(sandbox, at, device), headers=headers, content=ALERT)
        for at in AppleEnvironment
        for of, device in devices.items()
    }

    assert {
        (PRODUCTION, PRODUCTION): 200,
        (PRODUCTION, SANDBOX): 400,
        (SANDBOX, PRODUCTION): 400,
        (SANDBOX, SANDBOX): 200,
    } == {pair: answer.status_code for pair, answer in answers.items()}
    assert {"reason": "BadDeviceToken"} == answers[PRODUCTION, SANDBOX].json()
    assert ["production", "sandbox"] == [
        entry.read()["environment"] for entry in sandbox.inbox.entries()
    ]
    assert (4, 2) == (
        sandbox.stats.of(Gateway.APNS).requests,
        sandbox.stats.of(Gateway.APNS).accepted,
    )


@pytest.mark.parametrize("environment", list(AppleEnvironment))
async def test_published_certificate_sends(
    sandbox: Sandbox, certified: httpx.AsyncClient, environment: AppleEnvironment
) -> None:
    """The certificate among the credentials is good at both addresses, without any token."""
    device = mint(sandbox, environment)

    response = await certified.post(url(sandbox, environment, device), headers=TOPIC, content=ALERT)

    assert (200, 1) == (response.status_code, len(sandbox.inbox.entries(device)))


async def test_published_certificate_wants_a_topic(
    sandbox: Sandbox, certified: httpx.AsyncClient
) -> None:
    """It lists its topics, as Apple's do, so a request has to name one."""
    device = mint(sandbox, PRODUCTION)

    response = await certified.post(url(sandbox, PRODUCTION, device), content=ALERT)

    assert (400, {"reason": "MissingTopic"}) == (response.status_code, response.json())


@pytest.mark.parametrize("environment,status", [(SANDBOX, 200), (PRODUCTION, 403)])
async def test_development_certificate_is_refused_in_production(
    sandbox: Sandbox, tmp_path: Path, environment: AppleEnvironment, status: int
) -> None:
    """A certificate for one environment, with an RSA key, is taken there and nowhere else."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    pair = issue(sandbox.authority, "com.example.app", environments=frozenset({SANDBOX}), key=key)
    device = mint(sandbox, environment)
    async with client_with(sandbox.authority, tmp_path, pair) as client:
        response = await client.post(url(sandbox, environment, device), content=ALERT)

    assert status == response.status_code
    if status == 403:
        assert {"reason": "BadCertificateEnvironment"} == response.json()


@pytest.mark.parametrize("fault", ["stranger", "expired"])
async def test_certificate_that_does_not_hold_ends_the_handshake(
    sandbox: Sandbox, tmp_path: Path, fault: str
) -> None:
    """Another authority's certificate, or one of yesterday, does not come as far as a request."""
    now = datetime.now(UTC)
    if fault == "stranger":
        pair = issue(Authority(), "com.example.app")
    else:
        valid = (now - timedelta(days=365), now - timedelta(days=1))
        pair = issue(sandbox.authority, "com.example.app", valid=valid)
    device = mint(sandbox, PRODUCTION)

    async with client_with(sandbox.authority, tmp_path, pair) as client:
        with pytest.raises((httpx.TransportError, ssl.SSLError)):
            await client.post(url(sandbox, PRODUCTION, device), content=ALERT)

    assert [] == sandbox.inbox.entries()
