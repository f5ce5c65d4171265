"""What is in ``deploy/``, as those who run it read it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml
from typer.testing import CliRunner

from heliograph import config
from heliograph.cli import commands
from heliograph.errors import ConfigurationError

ROOT: Final = Path(__file__).parent.parent
DEPLOY: Final = ROOT / "deploy"

SECRETS: Final = {
    "admin_token": "an-admin-token-of-tests",
    "database_url": "postgresql://heliograph:secret@postgres/heliograph",
    "master_key": "a-master-key-of-tests",
    "queue_url": "nats://heliograph:secret@nats:4222",
}
"""What an operator would put into the files, by their names."""


def documents(path: Path) -> list[dict[str, Any]]:
    """The documents of a YAML file."""
    return [each for each in yaml.safe_load_all(path.read_text()) if each]


def command_problem(arguments: Sequence[str]) -> str | None:
    """What is wrong with the command and the options after ``heliograph``; None if nothing is."""
    tried = CliRunner().invoke(commands, [*arguments, "--help"])
    return None if tried.exit_code == 0 else tried.output


def settings_problem(environment: Mapping[str, str], folder: Path) -> str | None:
    """
    What the server would say of an environment; None if it would start.

    Args:
        environment: As a file of ``deploy/`` has it.
        folder: For the secrets, which are read from there rather than from where it says.
    """
    for name, value in SECRETS.items():
        (folder / name).write_text(value)
    ours = {
        name: str(folder / Path(value).name) if value.rpartition("/")[2] in SECRETS else value
        for name, value in environment.items()
        if name.startswith(config.PREFIX)
    }
    try:
        config.load(ours)
    except ConfigurationError as problem:
        return str(problem)
    return None


def known_settings() -> set[str]:
    """Every name that the server knows."""
    names = {config.variable(each.name) for each in config.SETTINGS}
    secrets = {config.variable(each.name) for each in config.SETTINGS if each.metadata["secret"]}
    return names | {f"{name}_FILE" for name in secrets} | {config.CONFIG_FILE}


def settings_named_in(text: str) -> set[str]:
    """Names of settings in a text; ``HELIOGRAPH_*_FILE`` and the like are none."""
    return set(re.findall(r"\bHELIOGRAPH_[A-Z][A-Z_]*[A-Z]\b(?!\*)", text))


def unit(name: str) -> dict[str, list[str]]:
    """The lines of a systemd unit, by their keys, in order."""
    lines: dict[str, list[str]] = {}
    for line in (DEPLOY / "systemd" / name).read_text().splitlines():
        key, separator, value = line.partition("=")
        if separator and not line.startswith("#"):
            lines.setdefault(key, []).append(value)
    return lines


def environment_of(lines: Mapping[str, list[str]], *, instance: str, folder: str) -> dict[str, str]:
    """The environment that a unit gives its process (systemd.exec(5), systemd.unit(5))."""
    words = (word for line in lines["Environment"] for word in line.split())
    named = (word.replace("%d", folder).replace("%i", instance).partition("=") for word in words)
    return {name: value for name, _, value in named}


def instructions(path: Path) -> Iterator[tuple[str, str]]:
    """The instructions of a Dockerfile, each in one line."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    for line in filter(None, map(str.strip, text.splitlines())):
        name, _, rest = line.partition(" ")
        yield name, " ".join(rest.split())
