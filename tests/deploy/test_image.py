import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from deployment import ROOT, command_problem, instructions
from processes import heliograph

DOCKERFILE = ROOT / "Dockerfile"


def words_of(name: str) -> list[str]:
    """The words of the last instruction of a name that is written as JSON."""
    *_, last = (rest for found, rest in instructions(DOCKERFILE) if found == name)
    words: list[str] = json.loads(last[last.index("[") :])
    return words


def test_hadolint_finds_nothing() -> None:
    """The Dockerfile is as hadolint would have it."""
    program = Path(sys.executable).with_name("hadolint")

    found = subprocess.run([program, DOCKERFILE], capture_output=True, text=True, check=False)  # noqa: S603

    assert (0, "") == (found.returncode, found.stdout)


def test_what_is_copied_is_enough_to_build(tmp_path: Path) -> None:
    """A wheel of what reaches the image's build has every file of the package."""
    copied = [
        word
        for name, rest in instructions(DOCKERFILE)
        if name == "COPY" and "--from" not in rest
        for word in rest.split()[:-1]
    ]
    let_through = [
        line[1:]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    for name in copied:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, symlinks=True)
        else:
            shutil.copy(source, tmp_path)

    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )

    (wheel,) = (tmp_path / "dist").iterdir()
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if "dist-info" not in name}
    sources = {
        str((Path(folder) / name).relative_to(ROOT / "src"))
        for folder, _, names in os.walk(ROOT / "src", followlinks=True)  # the example's site is one
        for name in names
        if not name.endswith(".pyc") and ".mypy_cache" not in folder
    }
    assert sorted(copied) == sorted(let_through)
    assert sources == packed


def test_the_image_runs_a_command_that_exists() -> None:
    """Without arguments the image serves."""
    assert ["heliograph"] == words_of("ENTRYPOINT")
    assert None is command_problem(words_of("CMD"))


async def test_the_health_check_knows_whether_it_is_alive(tmp_path: Path) -> None:
    """The image's check succeeds beside a running server, and fails once it has stopped."""
    _, *check = words_of("HEALTHCHECK")

    async with heliograph(*words_of("CMD"), folder=tmp_path) as server:
        address = (await server.ready())["endpoint"]
        mine = [word.replace("http://127.0.0.1:8040", address) for word in check]
        beside = subprocess.run([sys.executable, *mine], check=False)  # noqa: ASYNC221, S603
        await server.stop()
    after = subprocess.run(  # noqa: ASYNC221, S603
        [sys.executable, *mine], check=False, capture_output=True
    )

    assert (0, 1) == (beside.returncode, after.returncode)
