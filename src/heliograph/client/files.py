"""
The file in which a device keeps its state, for its owner only.

It is replaced as a whole, so that one who reads it, or a crash, finds the old state or the
new one. Two devices that share a file lose each other's changes.
"""

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from heliograph.client.errors import StateError

Read = TypeVar("Read")


def read(path: Path, parse: Callable[[bytes], Read]) -> Read | None:
    """
    Read a file; None if there is none.

    Raises:
        StateError: ``parse`` cannot make sense of it.
    """
    try:
        return parse(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StateError(f"{path} is not a device state: {error!r}") from error


def replace(path: Path, content: bytes | None) -> None:
    """Replace a file, or remove it for None."""
    if content is None:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp creates with mode 0600.
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
