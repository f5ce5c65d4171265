"""
Tickets: what NATS carries in place of work.

A ticket says that a piece of work is there to be claimed, and all of it stands in its
subject: ``<name>.work.<sort>.<bucket>.<number>.<step>``. The stream keeps one message for
each subject, so that the same piece of work never has two. An expansion goes on under its
number: each step of it is a ticket of its own, as the one before is only just going away.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from heliograph.model import InstanceNumber, Sort, WorkNumber

BUCKETS: Final = 8
"""Lines of one sort that are served in turns; instances share them by their number."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A claim to one piece of work."""

    sort: Sort
    bucket: int
    number: WorkNumber
    step: int
    """How far an expansion had come; 0 for a batch."""


def ticket(sort: Sort, instance: InstanceNumber, number: WorkNumber, step: int = 0) -> Ticket:
    """The ticket of a piece of work."""
    return Ticket(sort, instance % BUCKETS, number, step)


@dataclass(frozen=True, slots=True)
class Names:
    """What one installation calls its things in a NATS that others may use too."""

    name: str

    @property
    def stream(self) -> str:
        """Where tickets wait."""
        return f"{self.name}-work"

    @property
    def dead_stream(self) -> str:
        """Where is noted what was given up."""
        return f"{self.name}-dead"

    @property
    def dead(self) -> str:
        """The subject of such a note."""
        return f"{self.name}.dead"

    @property
    def every(self) -> Sequence[str]:
        """The subjects of all tickets."""
        return (f"{self.name}.work.>",)

    def consumer(self, sort: Sort, bucket: int) -> str:
        """Who hands out the tickets of one line."""
        return f"{sort}-{bucket}"

    def line(self, sort: Sort, bucket: int) -> str:
        """The subjects of that line."""
        return f"{self.name}.work.{sort}.{bucket}.>"

    def lines(self) -> Mapping[str, str]:
        """Every consumer, and the subjects of which it hands out tickets."""
        return {
            self.consumer(sort, bucket): self.line(sort, bucket)
            for sort in Sort
            for bucket in range(BUCKETS)
        }

    def subject(self, ticket: Ticket) -> str:
        """What a ticket is published under."""
        place = f"{ticket.sort}.{ticket.bucket}.{ticket.number}.{ticket.step}"
        return f"{self.name}.work.{place}"

    def read(self, subject: str) -> Ticket | None:
        """The ticket that was published under a subject; None if it is not one of ours."""
        head, _, rest = subject.partition(".work.")
        match rest.split("."):
            case [sort, bucket, number, step] if head == self.name:
                try:
                    return Ticket(Sort(sort), int(bucket), WorkNumber(int(number)), int(step))
                except ValueError:
                    return None
            case _:
                return None
