from datetime import timedelta

import pytest

from heliograph.sandbox.vapid import BadProofError, Doorkeeper
from sandbox.senders import NOW, VapidSender

ORIGIN = "https://push.example"


@pytest.fixture
def doorkeeper() -> Doorkeeper:
    return Doorkeeper(ORIGIN)


@pytest.fixture
def sender() -> VapidSender:
    return VapidSender(ORIGIN)


def test_good_proof_names_the_sender(doorkeeper: Doorkeeper, sender: VapidSender) -> None:
    """The sender is its public key."""
    assert sender.public_key == doorkeeper.sender(sender.authorization(), NOW)


def test_parameters_in_any_order(doorkeeper: Doorkeeper, sender: VapidSender) -> None:
    """The scheme's letters may be in either case, and k may come before t."""
    first, second = sender.authorization().removeprefix("vapid ").split(", ")

    assert sender.public_key == doorkeeper.sender(f"Vapid {second},{first}", NOW)


@pytest.mark.parametrize(
    "changes,reason",
    [
        ({"aud": "https://other.example"}, "aud"),
        ({"aud": ORIGIN + "/"}, "aud"),
        ({"exp": int(NOW.timestamp())}, "past"),
        ({"exp": None}, "missing"),
        ({"exp": int(NOW.timestamp()) + 86_401}, "24 hours"),
        ({"sub": None}, "sub"),
        ({"sub": "operator@example.com"}, "sub"),
        ({"sub": "http://example.com"}, "sub"),
    ],
)
def test_wrong_claims(
    doorkeeper: Doorkeeper, sender: VapidSender, changes: dict[str, object], reason: str
) -> None:
    """Audience, expiry and contact are all checked (RFC 8292 §2)."""
    authorization = sender.authorization(now=NOW, **changes)

    with pytest.raises(BadProofError, match=reason):
        doorkeeper.sender(authorization, NOW)


@pytest.mark.parametrize("sub", ["mailto:a@b.example", "https://example.com/contact"])
def test_contacts(doorkeeper: Doorkeeper, sender: VapidSender, sub: str) -> None:
    """A contact is a mailbox or a page."""
    assert sender.public_key == doorkeeper.sender(sender.authorization(sub=sub), NOW)


def test_whole_day_ahead_is_good(doorkeeper: Doorkeeper, sender: VapidSender) -> None:
    """Exactly 24 hours are not more than 24 hours."""
    authorization = sender.authorization(exp=int(NOW.timestamp()) + 86_400)

    assert sender.public_key == doorkeeper.sender(authorization, NOW)


def test_known_proof_still_expires(doorkeeper: Doorkeeper, sender: VapidSender) -> None:
    """A token that was good once is looked at again for its age."""
    authorization = sender.authorization()
    doorkeeper.sender(authorization, NOW)

    with pytest.raises(BadProofError, match="past"):
        doorkeeper.sender(authorization, NOW + timedelta(hours=12))


def test_key_of_another(doorkeeper: Doorkeeper, sender: VapidSender) -> None:
    """A token under a key that did not sign it proves nothing."""
    other = VapidSender(ORIGIN)
    mixed = sender.authorization().split(", ")[0] + ", " + other.authorization().split(", ")[1]

    with pytest.raises(BadProofError, match="signature"):
        doorkeeper.sender(mixed, NOW)


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "WebPush abc",
        "bearer abc",
        "vapid",
        "vapid t=abc",
        "vapid k=abc",
        "vapid t=é, k=b",
    ],
)
def test_other_headers(doorkeeper: Doorkeeper, authorization: str | None) -> None:
    """Without the scheme, a token and a key there is no proof."""
    with pytest.raises(BadProofError, match="VAPID"):
        doorkeeper.sender(authorization, NOW)


def test_key_that_is_no_point(doorkeeper: Doorkeeper, sender: VapidSender) -> None:
    """The key must be a point of P-256."""
    token = sender.authorization().split(", ")[0]

    with pytest.raises(BadProofError, match="P-256"):
        doorkeeper.sender(f"{token}, k=BAAA", NOW)
