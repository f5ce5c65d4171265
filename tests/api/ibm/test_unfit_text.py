"""Text that cannot be in a database: refused at the door, whatever engine there is behind it."""

import pytest

from api.ibm.words import App

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    "path", ["/devices/%00", "/devices/D%00", "/tags/%00", "/subscriptions/%00", "/%00"]
)
async def test_nothing_is_called_by_a_name_with_nul_in_it(app: App, path: str) -> None:
    """Contract §2.8: 404 FPWSE0001E, as for whatever else there is not."""
    answer = await app.ask("GET", path)

    assert (404, "FPWSE0001E") == (answer.status_code, answer.json()["code"])


@pytest.mark.parametrize(
    "query",
    ["subscriptions?deviceId=%00", "subscriptions?filter=tagName==%00", "tags?filter=name=@%00"],
)
async def test_nothing_is_looked_for_with_nul_in_it(app: App, query: str) -> None:
    """Contract §2.8: 400 FPWSE0005E."""
    answer = await app.ask("GET", f"/{query}")

    assert (400, "FPWSE0005E") == (answer.status_code, answer.json()["code"])
