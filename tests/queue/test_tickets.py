"""What stands on a ticket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.model import InstanceNumber, Sort, WorkNumber
from heliograph.queue.tickets import BUCKETS, Names, Ticket, ticket

NAMES = Names("heliograph")
TICKET = ticket(Sort.LARGE, InstanceNumber(BUCKETS + 3), WorkNumber(42), 1000)


def test_a_subject_says_everything() -> None:
    """Sort, bucket of the instance, number of the work, step of an expansion."""
    assert "heliograph.work.large.3.42.1000" == NAMES.subject(TICKET)


@given(st.sampled_from(Sort), st.integers(1, 2**62), st.integers(1, 2**62), st.integers(0, 2**62))
def test_what_is_written_is_read(sort: Sort, instance: int, number: int, step: int) -> None:
    """A subject of ours is a ticket again."""
    written = ticket(sort, InstanceNumber(instance), WorkNumber(number), step)

    assert written == NAMES.read(NAMES.subject(written))


@given(st.text())
def test_what_is_not_ours_is_no_ticket(text: str) -> None:
    """Never raises; another installation's tickets are not ours."""
    assert None is NAMES.read(f"heliograph.work.{text}") or text.count(".") == 3
    assert None is NAMES.read(text) or text.startswith("heliograph.work.")


@pytest.mark.parametrize(
    "subject",
    ["other.work.large.3.42.0", "heliograph.work.huge.3.42.0", "heliograph.work.large.3.x.0", ""],
)
def test_strange_subjects_are_no_tickets(subject: str) -> None:
    """Nor is what looks like one."""
    assert None is NAMES.read(subject)


def test_each_ticket_is_in_one_line() -> None:
    """Consumers share out the subjects: none is in two lines, and none in no line."""
    lines = NAMES.lines()
    every = [Ticket(sort, bucket, WorkNumber(1), 0) for sort in Sort for bucket in range(BUCKETS)]

    found = [
        [name for name, line in lines.items() if NAMES.subject(each).startswith(line[:-1])]
        for each in every
    ]

    assert [[NAMES.consumer(each.sort, each.bucket)] for each in every] == found
