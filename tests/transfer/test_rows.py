"""Rows of CSV: what is broken is said with its line, and what follows is read."""

import csv

from hypothesis import given
from hypothesis import strategies as st

from heliograph.transfer.rows import rows


def test_lines_are_counted_from_one() -> None:
    """A row has the number of the line on which it ends; empty lines are none."""
    lines = ["a,b\n", "\n", '"two\n', 'lines",c\n', "\ufeffd\n"]

    assert [(1, ["a", "b"]), (4, ["two\nlines", "c"]), (5, ["\ufeffd"])] == list(rows(lines))


def test_a_mark_at_the_beginning_is_no_character() -> None:
    """Spreadsheets write one before UTF-8."""
    assert [(1, ["a"])] == list(rows(["\ufeffa\n"]))


def test_what_is_broken_ends_nothing() -> None:
    """The row is an error, with its line, and the next one is read."""
    (first, problem), *others = rows(['"a"b,c\n', "d,e\n"])

    assert (1, True, [(2, ["d", "e"])]) == (first, isinstance(problem, csv.Error), others)


@given(st.lists(st.text(max_size=20), max_size=5))
def test_any_text_is_read_to_its_end(lines: list[str]) -> None:
    """Never raises, whatever stands in a file; numbers ascend."""
    numbers = [number for number, _ in rows([f"{line}\n" for line in lines])]

    assert sorted(numbers) == numbers
