"""What stands behind the question mark of a list."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from heliograph.api.ibm import queries
from heliograph.api.problems import Problem
from heliograph.storage.filters import Condition

FIELDS = {"name": "name", "platform": "platform"}


def read(query: str, **options: Any) -> queries.Page:
    return queries.read_page(QueryParams(query), FIELDS, **options)


def refusal(query: str) -> str:
    """The code of a mistake."""
    with pytest.raises(Problem) as caught:
        read(query)
    return caught.value.error


def test_a_page_is_read() -> None:
    """Contract §9: 100 from the beginning unless told; 500 at most; capitals are the same."""
    usual, told = read(""), read("offset=7&size=3&expand=True")

    assert (0, 100, False, []) == (usual.offset, usual.size, usual.is_expanded, usual.wanted)
    assert (7, 3, True) == (told.offset, told.size, told.is_expanded)
    assert 500 == read("size=100000").size


@pytest.mark.parametrize(
    "query, expected",
    [
        ("filter=name==a", [[Condition("name", "a")]]),
        ("filter=name=@a", [[Condition("name", "a", is_part=True)]]),
        ("filter=name==a,name==b", [[Condition("name", "a"), Condition("name", "b")]]),
        ("filter=name==a&filter=name==b", [[Condition("name", "a")], [Condition("name", "b")]]),
        ("filter=name==a\\,b", [[Condition("name", "a,b")]]),
        ("filter=name==a\\\\,name==b", [[Condition("name", "a\\"), Condition("name", "b")]]),
        ("filter=name==a==b", [[Condition("name", "a==b")]]),
        ("filter=platform==web_chrome", [[Condition("platform", "chrome")]]),
        ("filter=", []),
    ],
)
def test_a_filter_is_read(query: str, expected: list[list[Condition]]) -> None:
    """Contract §4.5: a comma is or, several are and, a backslash takes a meaning away."""
    assert expected == read(query).wanted


@pytest.mark.parametrize(
    "query, code",
    [
        ("offset=-1", "FPWSE1079E"),
        ("offset=1.5", "FPWSE1079E"),
        ("offset=9007199254740993", "FPWSE1079E"),
        ("size=0", "FPWSE1080E"),
        ("size=all", "FPWSE1080E"),
        ("sort=name", "FPWSE0007E"),
        ("filter=name", "FPWSE0005E"),
        ("filter=name==", "FPWSE0005E"),
        ("filter=other==a", "FPWSE0005E"),
        ("filter=platform=@A", "FPWSE0005E"),
        ("filter=platform==Z", "FPWSE0005E"),
        ("expand=maybe", "FPWSE0005E"),
        ("&".join(["filter=name==a"] * 11), "FPWSE0005E"),
    ],
)
def test_a_mistake_has_its_code(query: str, code: str) -> None:
    """Contract §2.8."""
    assert code == refusal(query)


@given(st.text(max_size=40))
def test_no_filter_is_too_strange(text: str) -> None:
    """Whatever it is, it is read or refused."""
    status = 200
    try:
        queries.read_page(QueryParams([("filter", text)]), FIELDS)
    except Problem as problem:
        status = problem.status

    assert status in (200, 400)


def test_a_page_says_where_it_stands() -> None:
    """Contract §3.2: addresses keep what was asked for; empty at the ends."""
    page = read("filter=name==a&size=2&offset=2")

    middle = queries.page_info(page, "http://h/tags", count=2, total=5)
    last = queries.page_info(page, "http://h/tags", count=2, total=4)
    going_on = queries.page_info(page, "http://h/tags", count=2, total=5, after=77)

    assert "http://h/tags?filter=name%3D%3Da&offset=4&size=2" == middle["next"]
    assert "http://h/tags?filter=name%3D%3Da&offset=0&size=2" == middle["previous"]
    assert ("", 4) == (last["next"], last["totalCount"])
    assert str(going_on["next"]).endswith("&after=77")
