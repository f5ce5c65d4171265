"""Rows of CSV with the numbers of their lines. Pure."""

import csv
from collections.abc import Iterable, Iterator
from typing import Final

_LONGEST_FIELD: Final = 2**20

Row = tuple[int, "list[str] | csv.Error"]
"""The line on which a row ends, and its fields, or what is wrong with it."""


def rows(lines: Iterable[str]) -> Iterator[Row]:
    """
    The rows of a file in their order, without those that are empty.

    What is broken does not end it. A mark that says UTF-8 does no harm: spreadsheets write one.

    Args:
        lines: The file, line by line, with their ends.
    """
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(_without_mark(lines), strict=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as problem:
            yield reader.line_num, problem
        else:
            if row:
                yield reader.line_num, row


def _without_mark(lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield line.removeprefix("\ufeff") if number == 0 else line
