"""``/docs``: a page for people, and a description for tools."""

import re

import pytest

from api.beams.words import ORIGIN, Beams

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_person_gets_a_page(beams: Beams) -> None:
    """With every call on it, and nothing that is loaded from anywhere."""
    described = (await beams.http.get("/docs/openapi.json")).json()

    page = await beams.http.get("/docs", headers={"accept": "text/html,*/*;q=0.8"})

    assert "text/html; charset=utf-8" == page.headers["content-type"]
    for path, methods in described["paths"].items():
        assert path in page.text
        assert all(f'id="{each["operationId"]}"' in page.text for each in methods.values())
    assert [] == re.findall(r'(?:src|href)="(?!#|/docs/openapi\.json)', page.text)


@pytest.mark.parametrize("path", ["/docs", "/docs/openapi.json"])
async def test_a_tool_gets_the_description(beams: Beams, path: str) -> None:
    """From wherever it runs: a page of another origin may read it."""
    answer = await beams.http.get(path, headers={"accept": "application/json"} | ORIGIN)

    assert "3.1.0" == answer.json()["openapi"]
    assert "*" == answer.headers["access-control-allow-origin"]
