"""The ids of messages."""

from heliograph.api.ibm.messages import message_id


def test_a_message_has_an_id_of_eight_letters_and_digits() -> None:
    """Contract §9: each of them can be anything."""
    found = {message_id(bytes([number]) * 16) for number in range(200)}

    assert {8} == {len(each) for each in found}
    assert all(each.isalnum() and each.isascii() for each in found)
    assert 200 == len(found)
