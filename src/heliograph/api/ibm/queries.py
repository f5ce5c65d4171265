"""
What may stand behind the question mark of a list (contract §2.8, §4.5).

``offset`` and ``size`` cut a page out of it, ``filter`` says what its items must be: a comma
between conditions means *or*, several filters mean *and*, and a backslash takes the meaning from
a comma or a backslash. An empty parameter is none: the client on PyPI leaves them all there.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from heliograph.api.ibm.problems import Code, invalid, problem
from heliograph.api.ibm.schema import platform
from heliograph.api.ibm.values import boolean_or_word
from heliograph.storage.filters import Condition, Filter

USUAL_SIZE: Final = 100
LARGEST_SIZE: Final = 500
MOST_FILTERS: Final = 10

_LARGEST_OFFSET: Final = 2**53
_CONDITION: Final = re.compile(r"(?P<field>[A-Za-z]+)(?P<sign>==|=@)(?P<value>.+)", re.DOTALL)
_PAGE: Final = ("offset", "size", "expand", "filter", "after")


@dataclass(frozen=True, slots=True)
class Page:
    """What is wanted of a list."""

    offset: int
    size: int
    is_expanded: bool
    wanted: Filter
    named: Mapping[str, str]
    """The other parameters that are there, none of them empty."""
    query: Sequence[tuple[str, str]]
    """All of them as they came."""


def read_page(params: QueryParams, fields: Mapping[str, str], *, also: Iterable[str] = ()) -> Page:
    """
    What a caller wants of a list.

    Args:
        params: The query.
        fields: What can be filtered by: our word for each of IBM's. ``platform`` must be equal;
            others may hold a value, too.
        also: Which other parameters there are.

    Raises:
        Problem: 400.
    """
    others = tuple(also)
    check_known(params, (*_PAGE, *others))
    filters = [each for each in params.getlist("filter") if each]
    if len(filters) > MOST_FILTERS:
        raise invalid("filter", f"there may be at most {MOST_FILTERS}")
    return Page(
        offset=_number(params, "offset", 0, least=0, most=_LARGEST_OFFSET),
        size=min(_number(params, "size", USUAL_SIZE, least=1, most=_LARGEST_OFFSET), LARGEST_SIZE),
        is_expanded=boolean_or_word("expand", params.get("expand", "").lower() or "false"),
        wanted=[_conditions(each, fields) for each in filters],
        named={name: params[name] for name in others if params.get(name)},
        query=[(name, value) for name, value in params.multi_items() if value],
    )


def read_after(params: QueryParams) -> int:
    """
    Where a page goes on, as ``page_info`` has written it; 0 if it does not say.

    Raises:
        Problem: 400.
    """
    return _number(params, "after", 0, least=0, most=_LARGEST_OFFSET)


def check_known(params: QueryParams, known: Iterable[str]) -> None:
    """
    Refuse a parameter that there is not, and NUL in one, which PostgreSQL takes in no text.

    Raises:
        Problem: 400.
    """
    for name, value in params.multi_items():
        if name not in known:
            raise problem(Code.UNKNOWN_QUERY, f"The query parameter '{name}' is not known")
        if "\x00" in value:
            raise invalid(name, "it must be text without NUL")


def page_info(page: Page, url: str, *, count: int, total: int, after: int = 0) -> dict[str, object]:
    """
    Where in a list a page stands, with the addresses of those before and behind it.

    Args:
        page: What was wanted.
        url: The address of the list, without a query.
        count: How many items the page has.
        total: How many the list has.
        after: Where the next page goes on, if that is faster to find than so many items.
    """
    end = page.offset + count
    more = [("after", str(after))] if after else []
    has_next = count > 0 and end < total
    back = max(page.offset - page.size, 0)
    return {
        "count": count,
        "totalCount": total,
        "next": _address(page, url, end, more) if has_next else "",
        "previous": _address(page, url, back, []) if page.offset > 0 else "",
    }


def _address(page: Page, url: str, offset: int, more: Sequence[tuple[str, str]]) -> str:
    rest = [each for each in page.query if each[0] not in ("offset", "size", "after")]
    place = [("offset", str(offset)), ("size", str(page.size)), *more]
    return f"{url}?{urlencode([*rest, *place])}"


def _number(params: QueryParams, name: str, usual: int, *, least: int, most: int) -> int:
    text = params.get(name, "")
    if not text:
        return usual
    code = Code.INVALID_OFFSET if name == "offset" else Code.INVALID_SIZE
    if not re.fullmatch("[0-9]{1,16}", text) or not least <= int(text) <= most:
        raise problem(code, f"The query parameter '{name}' must be a number from {least} on")
    return int(text)


def _conditions(text: str, fields: Mapping[str, str]) -> list[Condition]:
    return [_condition(each, fields) for each in _split(text)]


def _condition(text: str, fields: Mapping[str, str]) -> Condition:
    found = _CONDITION.fullmatch(text)
    if found is None or found["field"] not in fields:
        names = ", ".join(fields)
        raise invalid("filter", f"it must be one of {names}, then == or =@, and a value")
    field, is_part = fields[found["field"]], found["sign"] == "=@"
    if field != "platform":
        return Condition(field, found["value"], is_part)
    if is_part:
        raise invalid("filter", "a platform must be equal: platform==A")
    return Condition(field, str(platform("filter", found["value"])))


def _split(text: str) -> list[str]:
    """Parts between commas; what follows a backslash stands for itself."""
    parts = [""]
    is_escaped = False
    for character in text:
        if is_escaped or character not in "\\,":
            parts[-1] += character
            is_escaped = False
        elif character == "\\":
            is_escaped = True
        else:
            parts.append("")
    return parts
