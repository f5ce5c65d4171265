"""Declaration interests in files: what is written is read again, and what is broken is said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOW
from heliograph.model import Interest
from heliograph.transfer.declared import Declaration, read_declared, written
from heliograph.transfer.records import Reject

names = st.text(min_size=1, max_size=20).filter(str.isprintable).map(Interest)


@given(
    st.builds(
        Declaration, names, st.text(max_size=20), st.none() | st.just(NOW), st.none() | st.just(NOW)
    )
)
def test_what_is_written_is_read_again(declared: Declaration) -> None:
    """Whatever an interest is called, and whatever is said of it."""
    assert [(1, declared)] == list(read_declared([written(declared)]))


@pytest.mark.parametrize(
    "line, sentence",
    [
        ("x", "is no JSON object"),
        ("[]", "Expected `object`, got `array`"),
        ("{}", "missing required field `name`"),
        ('{"name": ""}', "name must have 1 to 164 printable characters"),
        ('{"name": "a\\tb"}', "name must have 1 to 164"),
        ('{"name": "a", "tag": 1}', "unknown field `tag`"),
        ('{"name": "a", "description": null}', "Expected `str`, got `null`"),
        ('{"name": "a", "created_at": "x"}', "created_at must be an instant"),
        ('{"name": "a", "changed_at": "x"}', "changed_at must be an instant"),
    ],
)
def test_what_cannot_be_used_is_said(line: str, sentence: str) -> None:
    """With its line; empty lines are none, and what follows is read."""
    found = list(read_declared(["\n", line, '{"name":"next"}']))

    (number, reject), following = found
    assert isinstance(reject, Reject)
    assert (2, 2, (3, Declaration(Interest("next")))) == (number, reject.line, following)
    assert sentence in reject.reason


@given(st.lists(st.text(max_size=20), max_size=3))
def test_any_line_is_read_or_refused(lines: list[str]) -> None:
    """Never raises, whatever stands in a file."""
    assert all(isinstance(each, Declaration | Reject) for _, each in read_declared(lines))
