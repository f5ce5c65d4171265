"""Replies: in the order of the batch, whatever the order in which parcels went out."""

from array import array

import pytest

from builders import apns_address
from heliograph.model import DeviceNumber
from heliograph.pipeline.replies import Replies
from heliograph.storage.columns import Milliseconds
from heliograph.storage.devices import Recipient, recipient

UNKNOWN = Milliseconds.UNKNOWN
ADDRESS = apns_address()


def recipients(*numbers: int) -> list[Recipient]:
    return [recipient(DeviceNumber(number), ADDRESS) for number in numbers]


def took(*parcels: tuple[list[Recipient], list[int]], batch: list[int]) -> list[int] | None:
    replies = Replies()
    for devices, times in parcels:
        replies.note_times(devices, array("H", times))
    found = replies.answers(array("q", batch)).took
    return None if found is None else list(found)


@pytest.mark.parametrize(
    "parcels,expected",
    [
        ([], None),
        ([(recipients(3, 5, 9), [30, 50, 90])], [30, 50, 90]),
        ([(recipients(3, 5), [30, 50]), (recipients(9), [90])], [30, 50, 90]),
        ([(recipients(9), [90]), (recipients(3, 5), [30, 50])], [30, 50, 90]),
        ([(recipients(3, 9), [30, 90]), (recipients(5), [50])], [30, 50, 90]),
        ([(recipients(5), [50])], [UNKNOWN, 50, UNKNOWN]),
        ([(recipients(3, 5, 9), [30, 50, 90]), (recipients(5), [55])], [30, 55, 90]),
        ([(recipients(), []), (recipients(3, 5, 9), [30, 50, 90])], [30, 50, 90]),
    ],
)
def test_times_come_in_the_order_of_the_batch(
    parcels: list[tuple[list[Recipient], list[int]]], expected: list[int] | None
) -> None:
    """Who was not sent to has no time, and who was sent to twice has the last one."""
    assert expected == took(*parcels, batch=[3, 5, 9])


def test_who_did_not_answer_has_no_time() -> None:
    """The time of a reply that never came is nobody's."""
    replies = Replies()
    replies.note_times(recipients(3, 5, 9), array("H", [30, 50, 90]))
    replies.note_silence(DeviceNumber(5))

    answers = replies.answers(array("q", [3, 5, 9]))

    assert (array("H", [30, UNKNOWN, 90]), {}) == (answers.took, answers.statuses)


def test_only_the_last_answer_counts() -> None:
    """Who is asked once more leaves the first answer behind, or that there was none."""
    replies = Replies()
    replies.note_times(recipients(3, 5), array("H", [30, 50]))
    replies.note_status(DeviceNumber(3), 400)
    replies.note_silence(DeviceNumber(5))

    replies.forget(recipients(3, 5))
    replies.note_times(recipients(3, 5), array("H", [33, 55]))

    answers = replies.answers(array("q", [3, 5]))
    assert (array("H", [33, 55]), {}) == (answers.took, answers.statuses)
