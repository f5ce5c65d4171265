"""
``heliograph dev``: everything at once, on this machine only.

The product, a sandbox of the three push services, and an instance that is ready for
use.
"""

import contextlib
import json
import os
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from heliograph.app import on_the_network, product, working
from heliograph.config import Settings, parse_listen
from heliograph.errors import ConfigurationError
from heliograph.instances import Instance, Instances
from heliograph.model import ApnsCredentials, FcmCredentials
from heliograph.sandbox.authority import Authority
from heliograph.sandbox.server import Sandbox
from heliograph.serving import Tls

INSTANCE_NAME: Final = "dev"
"""The instance that ``dev`` makes once and finds again."""

_LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
_TLS_PORT: Final = 8043
_SANDBOX_PORT: Final = 8041


@dataclass(frozen=True, slots=True)
class Development:
    """Where everything is that ``dev`` started, and the keys to it."""

    endpoint: str
    tls_endpoint: str
    ca_file: str
    """PEM of the authority that vouches for ``tls_endpoint`` and for the sandbox."""
    admin_token: str
    instance_id: str
    secret_key: str
    client_secret: str
    app_secret: str
    sandbox: dict[str, str]
    """Base URLs: management, apns, apns_sandbox, fcm, webpush, webpush_ws."""


@contextlib.asynccontextmanager
async def developing(settings: Settings) -> AsyncIterator[Development]:
    """Start everything; ``dev.json`` in the data directory says where, while it lasts."""
    settings = _for_development(settings)
    note = settings.data_dir / "dev.json"
    note.unlink(missing_ok=True)
    authority, ca_file = _authority(settings.data_dir)
    tls = _certificate(settings, authority)
    async with contextlib.AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(sandbox_running(settings, authority))
        built = await stack.enter_async_context(product(settings, extra_ca=authority.ca_pem))
        instance = await _ready_instance(built.instances, sandbox)
        addresses = await stack.enter_async_context(on_the_network(built.app, settings, tls=tls))
        await stack.enter_async_context(working(built.worker))
        development = Development(
            **addresses,
            ca_file=str(ca_file.absolute()),
            admin_token=settings.admin_token or "",
            instance_id=instance.id,
            secret_key=instance.secret_keys[0],
            client_secret=instance.client_secret,
            app_secret=instance.app_secret,
            sandbox=sandbox.addresses(),
        )
        write_note(note, msgspec.to_builtins(development))
        stack.callback(note.unlink, missing_ok=True)
        yield development


@contextlib.asynccontextmanager
async def sandbox_running(
    settings: Settings, authority: Authority | None = None
) -> AsyncIterator[Sandbox]:
    """A sandbox where the settings say; its pages' usual port, or a free one, if they do not."""
    host, port = parse_listen(
        "sandbox_listen", settings.sandbox_listen or f"127.0.0.1:{_SANDBOX_PORT}"
    )
    sandbox = Sandbox(host=host, management_port=port, authority=authority)
    try:
        await sandbox.start()
    except OSError as problem:
        if settings.sandbox_listen is not None:
            raise ConfigurationError(
                f"HELIOGRAPH_SANDBOX_LISTEN: cannot listen on {host}:{port}: {problem.strerror}"
            ) from None
        sandbox = Sandbox(host=host, authority=authority)
        await sandbox.start()
    try:
        yield sandbox
    finally:
        await sandbox.stop()


def write_note(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON file that only its owner reads; it is there whole or not at all."""
    _write_private(path.with_suffix(".tmp"), json.dumps(value, indent=2) + "\n")
    path.with_suffix(".tmp").replace(path)


def _for_development(settings: Settings) -> Settings:
    """What ``dev`` decides where the operator did not."""
    _, port = parse_listen("listen", settings.listen)
    tls_port = _TLS_PORT if port else 0
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    return replace(
        settings,
        listen_tls=settings.listen_tls or f"127.0.0.1:{tls_port}",
        admin_token=settings.admin_token or secrets.token_urlsafe(24),
        egress_allow=(*settings.egress_allow, *_LOOPBACK),
    )


def _authority(data_dir: Path) -> tuple[Authority, Path]:
    """The same authority at every start: whoever trusts it does so once."""
    certificate, key = data_dir / "dev-ca.pem", data_dir / "dev-ca.key"
    if certificate.exists() and key.exists():
        return Authority.from_pem(certificate.read_text(), key.read_text()), certificate
    authority = Authority()
    _write_private(key, authority.private_key_pem)
    certificate.write_text(authority.ca_pem)
    return authority, certificate


def _certificate(settings: Settings, authority: Authority) -> Tls:
    host, _ = parse_listen("listen_tls", settings.listen_tls or "")
    chain, key = authority.server_certificate(*([] if host in ("0.0.0.0", "::") else [host]))  # noqa: S104  (only compared)
    tls = Tls(settings.data_dir / "dev-tls.pem", settings.data_dir / "dev-tls.key")
    tls.certificate.write_text(chain)
    _write_private(tls.key, key)
    return tls


async def _ready_instance(instances: Instances, sandbox: Sandbox) -> Instance:
    known = [each for each in await instances.every() if each.name == INSTANCE_NAME]
    instance = known[0] if known else await instances.create(INSTANCE_NAME)
    credentials = sandbox.credentials()
    await instances.set_apns(instance.id, msgspec.convert(credentials["apns"], ApnsCredentials))
    await instances.set_fcm(instance.id, msgspec.convert(credentials["fcm"], FcmCredentials))
    return instance


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
