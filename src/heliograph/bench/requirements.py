"""What a sender needs that may not be installed: where it is, its version, how to get it."""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

_PATIENCE_SECONDS: Final = 20


@dataclass(frozen=True, slots=True)
class Kit:
    """Where to look for what is not Python."""

    node_modules: Path

    def tool(self, name: str) -> str | None:
        """A program's path: beside our interpreter, or where the shell would find it."""
        beside = str(Path(sys.executable).parent)
        # the servers of Debian's packages are where only the super-user's shell looks
        places = os.pathsep.join([beside, os.environ.get("PATH", os.defpath), "/usr/sbin"])
        return shutil.which(name, path=places)


class Requirement(Protocol):
    """Something that a sender cannot do without."""

    @property
    def how(self) -> str:
        """How to get it."""

    def version(self, kit: Kit) -> str | None:
        """Its name and version; None if it is not there."""


@dataclass(frozen=True, slots=True)
class PythonPackage:
    """A distribution in our environment."""

    name: str
    extra: str = ""

    @property
    def how(self) -> str:
        """How to get it."""
        return f"pip install '{self.name}{self.extra}'"

    def version(self, kit: Kit) -> str | None:
        """Its name and version; None if it is not there."""
        del kit
        try:
            return f"{self.name} {importlib.metadata.version(self.name)}"
        except importlib.metadata.PackageNotFoundError:
            return None


@dataclass(frozen=True, slots=True)
class NodePackage:
    """A package in the folder that we were told of."""

    name: str

    @property
    def how(self) -> str:
        """How to get it."""
        return f"npm install {self.name}, and --node-modules"

    def version(self, kit: Kit) -> str | None:
        """Its name and version; None if it is not there."""
        try:
            text = (kit.node_modules / self.name / "package.json").read_text(encoding="utf-8")
        except OSError:
            return None
        return f"{self.name} {json.loads(text)['version']}"


@dataclass(frozen=True, slots=True)
class Tool:
    """A program."""

    name: str
    how: str
    ask: str = "--version"
    """What makes it tell its version."""

    def version(self, kit: Kit) -> str | None:
        """Its name and version; None if it is not there."""
        program = kit.tool(self.name)
        if program is None:
            return None
        told = subprocess.run(  # noqa: S603  (a program of our table)
            [program, self.ask],
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        ).stdout
        found = re.search(r"\d+(\.\d+)+", told)
        return f"{self.name} {found.group()}" if found else self.name
