"""What IBM's SDKs call things for which we have no word of our own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.api.ibm.names import read_subscription_id, subscription_id
from heliograph.model import Interest
from heliograph.wire.jws import base64url

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1)


@given(device=texts, interest=texts)
def test_a_subscription_is_found_by_its_id(device: str, interest: str) -> None:
    """Contract §4.3: an id says of which device and tag it is, whatever they are called."""
    assert (device, Interest(interest)) == read_subscription_id(subscription_id(device, interest))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "😀",
        "!!!!",
        base64url(b"\xff\x00\xff"),
        base64url(b"news"),
        base64url(b"\x00D"),
        base64url(b"news\x00"),
        base64url(b"news\x00D\x00"),
        base64url(b"news\x00D\x00E"),
    ],
)
def test_what_is_no_id_of_a_subscription(text: str) -> None:
    """Nothing comes of it; above all no NUL, at which PostgreSQL would fail."""
    assert read_subscription_id(text) is None
