"""The ids that each SDK makes up, and its addresses (contract §3.1)."""

import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.ibm.scripts import SUBSCRIPTION, TOKENS, WIRE_TOKENS
from heliograph.client.ibm.addresses import RANDOM_BYTES, ibm_token, new_device_id
from heliograph.client.ibm.profiles import PROFILES


@given(random=st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES))
def test_ids(random: bytes) -> None:
    """iOS: a UUID in capitals. Android: a UUID of version 3. Web: 32 digits."""
    ids = {name: new_device_id(profile, random) for name, profile in PROFILES.items()}

    assert ids["ios"] == str(UUID(ids["ios"])).upper()
    assert 3 == UUID(ids["android"]).version
    assert ids["android"] == str(UUID(ids["android"]))
    for browser in ("chrome", "firefox", "safari"):
        assert re.fullmatch("[0-9]{32}", ids[browser])


@pytest.mark.parametrize("profile", PROFILES)
def test_tokens(profile: str) -> None:
    """Apple's in small hexadecimal digits, Safari's as they are, the web's in standard base64."""
    assert WIRE_TOKENS[profile] == ibm_token(PROFILES[profile], TOKENS[profile])


@pytest.mark.parametrize(
    "token",
    [
        "{}",
        "[]",
        '{"endpoint": "https://x", "keys": {}}',
        '{"endpoint": "https://x", "keys": {"p256dh": "", "auth": "AQID"}}',
        SUBSCRIPTION | {"keys": {"p256dh": 1, "auth": "AQID"}},
        SUBSCRIPTION | {"endpoint": None},
    ],
)
def test_what_is_no_subscription(token: object) -> None:
    """A subscription without its keys is not registered."""
    with pytest.raises((ValueError, TypeError)):
        ibm_token(PROFILES["chrome"], token)  # type: ignore[arg-type]
