"""HTTP messages as values, and the one header that every gateway reads."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.wire.http import HttpRequest, HttpResponse, retry_after

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def reply(value: str) -> HttpResponse:
    return HttpResponse(503, (("retry-after", value),))


@pytest.mark.parametrize(
    "expected, value",
    [
        pytest.param(timedelta(seconds=120), "120", id="seconds"),
        pytest.param(timedelta(0), "0", id="at once"),
        pytest.param(timedelta(seconds=7), "  7 ", id="white space"),
        pytest.param(timedelta(seconds=55), "Fri, 02 Jan 2026 03:05:00 GMT", id="date"),
        pytest.param(timedelta(seconds=55), "Friday, 02-Jan-26 03:05:00 GMT", id="RFC 850 date"),
        pytest.param(timedelta(0), "Fri, 02 Jan 2026 03:00:00 GMT", id="date in the past"),
        pytest.param(timedelta(seconds=55), "Fri, 02 Jan 2026 03:05:00 -0000", id="no zone"),
        pytest.param(timedelta(seconds=2**31), "9" * 40, id="absurdly long"),
    ],
)
def test_both_forms_of_retry_after_are_read(expected: timedelta, value: str) -> None:
    """Seconds or a date, as RFC 9110 §10.2.3 has them, give a delay of zero or more."""
    assert expected == retry_after(reply(value), now=NOW)


@pytest.mark.parametrize("value", ["", "soon", "-5", "1.5", "٣", "1 2", "Fri, 99 Xyz 2026"])
def test_an_unreadable_retry_after_is_none(value: str) -> None:
    """What is neither form is as good as absent."""
    assert retry_after(reply(value), now=NOW) is None


def test_an_absent_retry_after_is_none() -> None:
    """No header, no delay."""
    assert retry_after(HttpResponse(503), now=NOW) is None


@given(
    st.text()
    | st.from_regex(r"[A-Z][a-z]{2}, \d{1,6} (Jan|Dec) \d{1,10} \d\d:\d\d:\d\d [+-]?\d{1,12}")
)
def test_retry_after_never_raises(value: str) -> None:
    """Whatever the header's text, there is a delay of zero or more, or none."""
    delay = retry_after(reply(value), now=NOW)

    assert delay is None or delay >= timedelta(0)


def test_the_first_of_a_repeated_header_counts() -> None:
    """A header is found by its lower-case name; the first value is taken."""
    response = HttpResponse(200, (("a", "1"), ("b", "2"), ("b", "3")))

    assert "2" == response.header("b")


def test_an_absent_header_is_none() -> None:
    """A header that is not there is None, not empty."""
    assert HttpResponse(200).header("b") is None


def test_a_body_is_not_shown() -> None:
    """A request's representation, which may be logged, leaves its payload out."""
    assert "secret" not in repr(HttpRequest("POST", "https://example.com/", body=b"secret"))
