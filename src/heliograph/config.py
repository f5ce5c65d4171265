"""
Settings: where they come from, what they are, what is wrong with them.

A setting is read from the environment (``HELIOGRAPH_LISTEN``), else from the TOML
file that ``HELIOGRAPH_CONFIG`` names (``listen = …``), else it has its default. A
secret may stand in a file instead: ``HELIOGRAPH_MASTER_KEY_FILE``. A name that we do
not know is an error that names the nearest one we do, because a setting that is
silently ignored is worse than none.
"""

import difflib
import ipaddress
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

import msgspec

from heliograph.errors import ConfigurationError

PREFIX: Final = "HELIOGRAPH_"
CONFIG_FILE: Final = "HELIOGRAPH_CONFIG"


def _setting(default: Any, doc: str, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"doc": doc, "secret": secret}, repr=not secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that an operator can decide, each with the sentence that documents it."""

    data_dir: Path = _setting(
        Path("heliograph-data"), "Folder of the database, the key file and `dev.json`."
    )
    database_url: str | None = _setting(
        None,
        "Where everything is kept: `sqlite:///path` or `postgresql://user:password@host/name`. "
        "Default: SQLite in the data directory.",
        secret=True,
    )
    migrate_at_start: bool = _setting(
        True,
        "Whether a command that finds an older database brings it up to date. `false` leaves that "
        "to `heliograph migrate`.",
    )
    queue_url: str | None = _setting(
        None,
        "Through what work is handed out to workers: `nats://user:password@host:port`, `tls://…`, "
        "several hosts separated by commas. Needs PostgreSQL. Default: the database itself.",
        secret=True,
    )
    queue_name: str = _setting(
        "heliograph",
        "What the streams in NATS are called after; another name for each Heliograph that "
        "shares one NATS.",
    )
    queue_replicas: int = _setting(
        1, "On how many servers of a NATS cluster each stream is kept: 1, 3 or 5."
    )
    queue_ca_file: Path | None = _setting(
        None, "Certificate authorities to trust with NATS besides the system's, PEM."
    )
    listen: str = _setting("127.0.0.1:8040", "Address and port for http; port 0 picks a free one.")
    listen_tls: str | None = _setting(
        None, "Address and port for https. Default: none; 127.0.0.1:8043 in `heliograph dev`."
    )
    tls_cert_file: Path | None = _setting(None, "Certificate chain for https, PEM.")
    tls_key_file: Path | None = _setting(None, "Private key for https, PEM.")
    admin_token: str | None = _setting(
        None,
        "Bearer token of `/admin/v1`. Without it that API is closed.",
        secret=True,
    )
    master_key: str | None = _setting(
        None,
        "Encrypts secrets and credentials at rest, at least 16 characters. "
        "Default: a key file is made in the data directory.",
        secret=True,
    )
    publish_rate: int = _setting(
        100, "Publishes, and customer API calls, that one instance may make a second."
    )
    device_rate: int = _setting(
        1000, "Requests of devices that one network address may make a second."
    )
    request_seconds: int = _setting(
        30,
        "How long the head of a request may take to arrive, and then its body, or each 16 KiB "
        "of a long one; who is slower is answered 408.",
    )
    drain_seconds: int = _setting(
        0,
        "How long a server that is asked to stop goes on answering, while `/readyz` says 503 so "
        "that load balancers turn away from it; 8 at most.",
    )
    trusted_proxies: tuple[str, ...] = _setting(
        ("127.0.0.1", "::1"),
        "Addresses, separated by commas, of proxies whose `X-Forwarded-For` is believed.",
    )
    max_devices_per_user: int = _setting(100, "Devices on which one person can be logged in.")
    vapid_subject: str = _setting(
        "mailto:push@example.com",
        "How a browser's push service reaches you: a `mailto:` or `https:` address of yours.",
    )
    egress_allow: tuple[str, ...] = _setting(
        (),
        "Networks, separated by commas, that web push endpoints may lie in although they are "
        "not public, for example `127.0.0.0/8`.",
    )
    extra_ca_file: Path | None = _setting(
        None, "Certificate authorities to trust in web push besides the system's, PEM."
    )
    web_push_shared_key: bool = _setting(
        False,
        "Encrypt the messages of one batch with one key pair instead of one each. "
        "Cheaper, and somewhat less private: see below.",
    )
    web_push_processes: int = _setting(
        1,
        "Processes that encrypt large batches for browsers, each of 27 to 39 MB, started when "
        "first needed. 0: the server does it itself.",
    )
    worker_concurrency: int = _setting(
        8,
        "Batches of large publishes that one worker has in hand at once, and as many that are "
        "tried again; of small publishes four times as many.",
    )
    fcm_rate: int = _setting(
        600_000,
        "Messages that one Google project may send a minute: your quota, if Google has raised it.",
    )
    batch_size: int = _setting(
        5000,
        "Devices in one batch of deliveries, at most. A crash repeats at most the batches in hand; "
        "small ones cost more each, large ones more memory.",
    )
    lease_seconds: int = _setting(
        60,
        "How long the work of a worker that gives no sign of life is left alone. Living ones give "
        "four in that time.",
    )
    sandbox_listen: str | None = _setting(
        None, "Address and port of the sandbox's pages. Default: 127.0.0.1:8041, if it is free."
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting(
        "info", "What is worth a line: `debug`, `info`, `warning` or `error`."
    )
    log_format: Literal["auto", "console", "json"] = _setting(
        "auto", "`console` for people, `json` for machines, `auto`: console on a terminal."
    )

    def __post_init__(self) -> None:
        """Refuse what cannot work, naming the setting."""
        _check_lengths(self)
        _check_addresses(self)
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ConfigurationError(
                f"{variable('tls_cert_file')} and {variable('tls_key_file')} go together"
            )
        if self.database_url is not None and not self.database_url.startswith(_DATABASES):
            raise ConfigurationError(
                f"{variable('database_url')} must begin with one of {', '.join(_DATABASES)}"
            )
        _check_queue(self)


def _check_lengths(settings: Settings) -> None:
    if settings.admin_token == "":
        raise ConfigurationError(f"{variable('admin_token')} must not be empty; unset it")
    if settings.master_key is not None and len(settings.master_key) < _MASTER_KEY_LENGTH:
        raise ConfigurationError(
            f"{variable('master_key')} must have at least {_MASTER_KEY_LENGTH} characters"
        )
    for name in (
        "publish_rate",
        "device_rate",
        "request_seconds",
        "max_devices_per_user",
        "fcm_rate",
        "worker_concurrency",
        "batch_size",
        "lease_seconds",
    ):
        if getattr(settings, name) < 1:
            raise ConfigurationError(f"{variable(name)} must be at least 1")
    if not 0 <= settings.drain_seconds <= _LONGEST_DRAIN:
        raise ConfigurationError(
            f"{variable('drain_seconds')} must be between 0 and {_LONGEST_DRAIN}: "
            "a stop takes 15 seconds at most"
        )
    if settings.web_push_processes < 0:
        raise ConfigurationError(f"{variable('web_push_processes')} must not be negative")


def _check_queue(settings: Settings) -> None:
    if not _QUEUE_NAME.fullmatch(settings.queue_name):
        raise ConfigurationError(
            f"{variable('queue_name')} may have 1 to 32 letters, digits, - and _"
        )
    if settings.queue_replicas not in _REPLICAS:
        raise ConfigurationError(f"{variable('queue_replicas')} must be 1, 3 or 5")
    if settings.queue_url is None:
        return
    if not settings.queue_url.startswith(_QUEUES):
        raise ConfigurationError(
            f"{variable('queue_url')} must begin with one of {', '.join(_QUEUES)}"
        )
    if settings.database_url is None or settings.database_url.startswith(_DATABASES[0]):
        raise ConfigurationError(
            f"{variable('queue_url')} hands work out to many processes, which SQLite is not for: "
            f"set {variable('database_url')} to a PostgreSQL, or unset it"
        )


def _check_addresses(settings: Settings) -> None:
    for name in ("listen", "listen_tls", "sandbox_listen"):
        value = getattr(settings, name)
        if value is not None:
            parse_listen(name, value)
    for network in settings.egress_allow:
        try:
            ipaddress.ip_network(network)
        except ValueError as problem:
            raise ConfigurationError(f"{variable('egress_allow')}: {problem}") from None


_MASTER_KEY_LENGTH: Final = 16
_LONGEST_DRAIN: Final = 8
_DATABASES: Final = ("sqlite:///", "postgresql://", "postgres://")
_QUEUES: Final = ("nats://", "tls://")
_QUEUE_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
_REPLICAS: Final = (1, 3, 5)
SETTINGS: Final = tuple(fields(Settings))


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def parse_listen(name: str, value: str) -> tuple[str, int]:
    """
    Split ``host:port``; an IPv6 host stands in brackets.

    Raises:
        ConfigurationError: Naming the setting, if it is of another form.
    """
    host, separator, port = value.rpartition(":")
    if not separator or not host or not port.isascii() or not port.isdigit():
        raise ConfigurationError(f"{variable(name)} must be host:port, not {value!r}")
    if int(port) > 65_535:  # noqa: PLR2004
        raise ConfigurationError(f"{variable(name)}: there is no port {port}")
    return host.strip("[]"), int(port)


def load(environ: Mapping[str, str], **overrides: Any) -> Settings:
    """
    Read the settings.

    Args:
        environ: The environment, ``os.environ`` in production.
        overrides: Settings given on the command line; None means not given.

    Raises:
        ConfigurationError: For an unknown name, a value of the wrong type, a file that
            cannot be read. The message names the setting to change.
    """
    values = _from_file(environ.get(CONFIG_FILE)) | _from_environment(environ)
    values |= {name: value for name, value in overrides.items() if value is not None}
    return Settings(**{name: _typed(name, value) for name, value in values.items()})


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, text in environ.items():
        if not key.startswith(PREFIX) or key == CONFIG_FILE:
            continue
        name = key.removeprefix(PREFIX).lower()
        secret_file = name.removesuffix("_file")
        if name in _BY_NAME:
            values[name] = text
        elif secret_file in _SECRETS:
            if PREFIX + secret_file.upper() in environ:
                raise ConfigurationError(f"{variable(secret_file)} and {key} exclude each other")
            values[secret_file] = _read(key, Path(text)).strip()
        else:
            raise ConfigurationError(_unknown(key, [variable(known) for known in _known_names()]))
    return values


def _from_file(path: str | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        values = tomllib.loads(_read(CONFIG_FILE, Path(path)))
    except tomllib.TOMLDecodeError as problem:
        raise ConfigurationError(f"{CONFIG_FILE}: {path}: {problem}") from None
    read: dict[str, Any] = {}
    for name, value in values.items():
        secret_file = name.removesuffix("_file")
        if name in _BY_NAME:
            read[name] = value
        elif secret_file in _SECRETS:
            if secret_file in values:
                raise ConfigurationError(f"{path}: {secret_file} and {name} exclude each other")
            read[secret_file] = _read(name, _path(name, value)).strip()
        else:
            raise ConfigurationError(f"{path}: {_unknown(name, _known_names())}")
    return read


def _typed(name: str, value: Any) -> Any:
    declared = _BY_NAME[name].type
    if Path in (declared, *get_args(declared)):
        return _path(variable(name), value)
    if get_origin(declared) is tuple and isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    try:
        return msgspec.convert(value, declared, strict=False)
    except msgspec.ValidationError as problem:
        raise ConfigurationError(f"{variable(name)}: {problem}") from None


def _path(name: str, value: object) -> Path:
    if not isinstance(value, str | Path):
        raise ConfigurationError(f"{name} must be a path, not {value!r}")
    return Path(value)


def _read(name: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigurationError(f"{name}: cannot read {path}: {problem}") from None


def _unknown(name: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0)
    return f"there is no setting {name}; did you mean {nearest[0]}?"


def _known_names() -> list[str]:
    return [*_BY_NAME, *(f"{name}_file" for name in _SECRETS)]


_BY_NAME: Final = {setting.name: setting for setting in SETTINGS}
_SECRETS: Final = frozenset(s.name for s in SETTINGS if s.metadata["secret"])
