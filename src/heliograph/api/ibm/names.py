"""What IBM's SDKs call things for which we have no word of our own. Pure."""

import base64

import msgspec

from heliograph.model import Interest
from heliograph.wire.jws import base64url


def browser_token(endpoint: str, p256dh: bytes, auth: bytes) -> str:
    """The token of a browser, as ``JSON.stringify`` writes it."""
    keys = {
        "userPublicKey": base64.b64encode(p256dh).decode(),
        "userAuth": base64.b64encode(auth).decode(),
    }
    return msgspec.json.encode({"endpoint": endpoint, **keys}).decode()


def subscription_id(device: str, interest: str) -> str:
    """What a subscription is called: it says which it is, so that none has to be kept."""
    return base64url(f"{interest}\x00{device}".encode())


def read_subscription_id(text: str) -> tuple[str, Interest] | None:
    """The device and the interest of a subscription; None if there is none with such an id."""
    padded = text + "=" * (-len(text) % 4)
    try:
        both = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except ValueError:
        return None
    interest, parts, device = both.partition("\x00")
    # PostgreSQL would not even hear of a device with another NUL in its name.
    is_one = parts and device and interest and "\x00" not in device
    return (device, Interest(interest)) if is_one else None
