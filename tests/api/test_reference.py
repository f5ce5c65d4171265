"""``/docs``: a page for people, and a description for tools."""

import html
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


async def test_a_person_finds_limits_and_a_command_for_every_call(beams: Beams) -> None:
    """What a parameter may be, how large a body, and how to try it; and no marks of Markdown."""
    described = (await beams.http.get("/docs/openapi.json")).json()
    calls = [each for methods in described["paths"].values() for each in methods.values()]

    page = html.unescape((await beams.http.get("/docs")).text)

    assert len(calls) == page.count("curl -X ")
    assert "At most 204,800 bytes." in page
    assert "minLength 1, maxLength 164" in page
    assert '"maxItems": 1000' in page
    assert "<code>Retry-After</code>" in page
    assert "`" not in re.sub("<pre.*?</pre>", "", page, flags=re.DOTALL)


@pytest.mark.parametrize("path", ["/docs", "/docs/openapi.json"])
async def test_a_tool_gets_the_description(beams: Beams, path: str) -> None:
    """From wherever it runs: a page of another origin may read it."""
    answer = await beams.http.get(path, headers={"accept": "application/json"} | ORIGIN)

    assert "3.1.0" == answer.json()["openapi"]
    assert "*" == answer.headers["access-control-allow-origin"]
    assert "accept" == answer.headers["vary"]
