"""Settings: where they come from, what they are, and what is said when they are wrong."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.config import SETTINGS, Settings, load, parse_listen, variable
from heliograph.errors import ConfigurationError

KEY = "a-master-key-of-tests"


def toml(folder: Path, text: str) -> dict[str, str]:
    """An environment that names a file of settings."""
    path = folder / "heliograph.toml"
    path.write_text(text)
    return {"HELIOGRAPH_CONFIG": str(path)}


def secret_file(folder: Path, text: str) -> str:
    path = folder / "secret"
    path.write_text(text)
    return str(path)


# --- where they come from ------------------------------------------------------------


def test_everything_has_a_default() -> None:
    """Without any setting there are settings."""
    assert Settings() == load({})


@pytest.mark.parametrize(
    "name, text, value",
    [
        ("data_dir", "/var/lib/heliograph", Path("/var/lib/heliograph")),
        ("database_url", "sqlite:////tmp/a.db", "sqlite:////tmp/a.db"),
        ("listen", "0.0.0.0:80", "0.0.0.0:80"),
        ("listen_tls", "[::1]:443", "[::1]:443"),
        ("admin_token", "token", "token"),
        ("master_key", KEY, KEY),
        ("publish_rate", "7", 7),
        ("max_devices_per_user", "1", 1),
        ("vapid_subject", "https://example.com", "https://example.com"),
        ("egress_allow", "127.0.0.0/8, ::1/128,", ("127.0.0.0/8", "::1/128")),
        ("egress_allow", "", ()),
        ("extra_ca_file", "ca.pem", Path("ca.pem")),
        ("web_push_shared_key", "true", True),
        ("web_push_processes", "0", 0),
        ("worker_concurrency", "2", 2),
        ("batch_size", "10", 10),
        ("sandbox_listen", "127.0.0.1:0", "127.0.0.1:0"),
        ("log_level", "debug", "debug"),
        ("log_format", "json", "json"),
    ],
)
def test_the_environment_sets_everything(name: str, text: str, value: object) -> None:
    """A variable named after a setting sets it, in the setting's own type."""
    settings = load({f"HELIOGRAPH_{name.upper()}": text})

    assert value == getattr(settings, name)


def test_other_programs_variables_are_no_matter() -> None:
    """A variable without our prefix is not ours to judge."""
    assert Settings() == load({"PATH": "/bin", "HELIO": "x", "LISTEN": "nowhere"})


def test_a_file_sets_everything(tmp_path: Path) -> None:
    """The TOML file that HELIOGRAPH_CONFIG names sets values in TOML's own types."""
    environ = toml(
        tmp_path,
        """
        data_dir = "here"
        publish_rate = 5
        egress_allow = ["10.0.0.0/8", "127.0.0.0/8"]
        log_level = "error"
        """,
    )

    settings = load(environ)

    assert (Path("here"), 5, ("10.0.0.0/8", "127.0.0.0/8"), "error") == (
        settings.data_dir,
        settings.publish_rate,
        settings.egress_allow,
        settings.log_level,
    )


def test_a_list_in_a_file_may_be_text(tmp_path: Path) -> None:
    """A list may be written in the file as it is in the environment."""
    settings = load(toml(tmp_path, 'egress_allow = "10.0.0.0/8,127.0.0.0/8"'))

    assert ("10.0.0.0/8", "127.0.0.0/8") == settings.egress_allow


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    """Each source overrides the one that is further away; None on the command line is silence."""
    environ = toml(tmp_path, 'publish_rate = 1\nbatch_size = 1\nlog_level = "error"') | {
        "HELIOGRAPH_PUBLISH_RATE": "2",
        "HELIOGRAPH_BATCH_SIZE": "2",
    }

    settings = load(environ, publish_rate=3, log_level=None)

    assert (3, 2, "error") == (settings.publish_rate, settings.batch_size, settings.log_level)


# --- secrets in files ----------------------------------------------------------------


@pytest.mark.parametrize("name", ["master_key", "admin_token"])
def test_a_secret_may_stand_in_a_file(tmp_path: Path, name: str) -> None:
    """The _FILE twin of a secret names a file that holds it; white space around it is not it."""
    settings = load({f"{variable(name)}_FILE": secret_file(tmp_path, f"  {KEY}\n")})

    assert KEY == getattr(settings, name)


def test_a_file_of_settings_may_name_a_secrets_file(tmp_path: Path) -> None:
    """The twins work in the TOML file, too."""
    settings = load(toml(tmp_path, f'master_key_file = "{secret_file(tmp_path, KEY)}"'))

    assert KEY == settings.master_key


def test_the_environments_secret_wins_over_the_files_twin(tmp_path: Path) -> None:
    """A secret in the environment overrides a twin that stands in the file."""
    environ = toml(tmp_path, f'master_key_file = "{secret_file(tmp_path, KEY)}"')

    settings = load(environ | {"HELIOGRAPH_MASTER_KEY": "another-master-key"})

    assert "another-master-key" == settings.master_key


def test_a_secret_and_its_file_exclude_each_other(tmp_path: Path) -> None:
    """Whoever sets a secret twice is asked which one is meant."""
    environ = {
        "HELIOGRAPH_MASTER_KEY": KEY,
        "HELIOGRAPH_MASTER_KEY_FILE": secret_file(tmp_path, KEY),
    }

    with pytest.raises(ConfigurationError, match=r"MASTER_KEY and .*_FILE exclude"):
        load(environ)


def test_the_twins_exclude_each_other_in_a_file_too(tmp_path: Path) -> None:
    """A TOML file that sets a secret twice is refused, too."""
    environ = toml(tmp_path, f'master_key_file = "{secret_file(tmp_path, KEY)}"\nmaster_key = "x"')

    with pytest.raises(ConfigurationError, match="master_key and master_key_file exclude"):
        load(environ)


def test_a_secrets_file_that_is_missing_is_named(tmp_path: Path) -> None:
    """The message names the setting and the file, so that either can be mended."""
    with pytest.raises(ConfigurationError, match=r"HELIOGRAPH_MASTER_KEY_FILE: cannot read .*gone"):
        load({"HELIOGRAPH_MASTER_KEY_FILE": str(tmp_path / "gone")})


def test_secrets_are_not_printed() -> None:
    """What a log or a traceback would show of the settings holds no secret."""
    settings = Settings(master_key=KEY, admin_token="an-admin-token-of-tests")

    shown = repr(settings)

    assert (False, False, True) == (
        KEY in shown,
        "an-admin-token" in shown,
        "publish_rate" in shown,
    )


# --- what is wrong -------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong, nearest",
    [
        ("HELIOGRAPH_LISTEM", "HELIOGRAPH_LISTEN"),
        ("HELIOGRAPH_DATADIR", "HELIOGRAPH_DATA_DIR"),
        ("HELIOGRAPH_MASTERKEY_FILE", "HELIOGRAPH_MASTER_KEY_FILE"),
        ("HELIOGRAPH_ADMIN_TOKENS", "HELIOGRAPH_ADMIN_TOKEN"),
        # A file twin of what is no secret would be read by nobody.
        ("HELIOGRAPH_LISTEN_FILE", "HELIOGRAPH_LISTEN"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_known_one(wrong: str, nearest: str) -> None:
    """A setting that would be silently ignored is an error that says what was meant."""
    with pytest.raises(ConfigurationError, match=rf"no setting {wrong}; did you mean {nearest}"):
        load({wrong: "x"})


def test_an_unknown_name_in_a_file_is_answered_so_too(tmp_path: Path) -> None:
    """In the file the nearest name is in the file's spelling."""
    with pytest.raises(ConfigurationError, match="no setting publish_rat; did you mean publish_ra"):
        load(toml(tmp_path, "publish_rat = 5"))


@given(st.text(st.characters(categories=["Lu", "Nd"], include_characters="_"), min_size=1))
def test_any_unknown_name_is_an_error_and_no_crash(name: str) -> None:
    """Whatever follows our prefix is either a setting or refused by name."""
    problem = ""
    try:
        load({f"HELIOGRAPH_{name}": "1"})
    except ConfigurationError as error:
        problem = str(error)

    assert name.lower() in {setting.name for setting in SETTINGS} or name in problem


@pytest.mark.parametrize(
    "name, text",
    [
        ("publish_rate", "many"),
        ("publish_rate", "0"),
        ("publish_rate", "1.5"),
        ("max_devices_per_user", "-1"),
        ("web_push_shared_key", "perhaps"),
        ("web_push_processes", "-1"),
        ("drain_seconds", "-1"),
        ("drain_seconds", "9"),
        ("worker_concurrency", "0"),
        ("batch_size", ""),
        ("listen", "8040"),
        ("listen", ":8040"),
        ("listen", "127.0.0.1:http"),
        ("listen", "127.0.0.1:65536"),
        ("listen_tls", "127.0.0.1:\u0663"),
        ("sandbox_listen", "nowhere"),
        ("egress_allow", "10.0.0.0/33"),
        ("egress_allow", "10.0.0.1/8"),
        ("egress_allow", "example.com"),
        ("log_level", "loud"),
        ("log_format", "xml"),
        ("master_key", "too-short"),
        ("admin_token", ""),
        ("database_url", "mysql://localhost/heliograph"),
        ("queue_url", "amqp://localhost"),
        ("queue_url", "nats://localhost"),  # with SQLite, which is for one process
        ("queue_name", "a.b"),
        ("queue_name", ""),
        ("queue_replicas", "2"),
        ("tls_cert_file", "cert.pem"),
        ("tls_key_file", "key.pem"),
    ],
)
def test_a_bad_value_is_answered_with_the_settings_name(name: str, text: str) -> None:
    """Whatever cannot work is refused at the start, naming the variable to change."""
    with pytest.raises(ConfigurationError, match=variable(name)):
        load({variable(name): text})


@pytest.mark.parametrize(
    "line, name",
    [
        ("data_dir = 5", "HELIOGRAPH_DATA_DIR"),
        ("extra_ca_file = ['a', 'b']", "HELIOGRAPH_EXTRA_CA_FILE"),
        ("master_key_file = 5", "master_key_file"),
        ("listen = 8040", "HELIOGRAPH_LISTEN"),
        ("egress_allow = [1]", "HELIOGRAPH_EGRESS_ALLOW"),
        ("publish_rate = 'many'", "HELIOGRAPH_PUBLISH_RATE"),
        ("publish_rate = {}", "HELIOGRAPH_PUBLISH_RATE"),
    ],
)
def test_a_value_of_the_wrong_type_in_a_file_is_named(tmp_path: Path, line: str, name: str) -> None:
    """TOML has types of its own; one that does not fit is refused by name."""
    with pytest.raises(ConfigurationError, match=name):
        load(toml(tmp_path, line))


@pytest.mark.parametrize("text", ["not toml", "a = 1\na = 2", "\x00"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, text: str) -> None:
    """A file that cannot be parsed is refused with its path."""
    with pytest.raises(ConfigurationError, match=r"HELIOGRAPH_CONFIG: .*heliograph\.toml"):
        load(toml(tmp_path, text))


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    """A settings file that was asked for must be there."""
    with pytest.raises(ConfigurationError, match="HELIOGRAPH_CONFIG: cannot read"):
        load({"HELIOGRAPH_CONFIG": str(tmp_path / "gone.toml")})


def test_a_certificate_and_its_key_go_together() -> None:
    """With both a certificate and a key, https is possible."""
    settings = Settings(tls_cert_file=Path("cert.pem"), tls_key_file=Path("key.pem"))

    assert (Path("cert.pem"), Path("key.pem")) == (settings.tls_cert_file, settings.tls_key_file)


# --- addresses -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, address",
    [
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("[::1]:8040", ("::1", 8040)),
        ("localhost:65535", ("localhost", 65535)),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, address: tuple[str, int]) -> None:
    """A listening address is split at its last colon; an IPv6 host loses its brackets."""
    assert address == parse_listen("listen", text)


@given(st.text())
def test_any_text_is_an_address_or_refused(text: str) -> None:
    """Whatever stands where an address should, nothing but a refusal comes of it."""
    try:
        _, port = parse_listen("listen", text)
    except ConfigurationError:
        return

    assert 0 <= port <= 65_535


# --- what operators read -------------------------------------------------------------


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_explained(setting: Any) -> None:
    """Each setting carries the sentence that documents it."""
    assert setting.metadata["doc"].endswith(".")


def test_settings_are_given_by_name() -> None:
    """No setting can be mistaken for another by its place."""
    assert all(setting.kw_only for setting in fields(Settings))
