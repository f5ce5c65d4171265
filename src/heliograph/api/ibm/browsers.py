"""
Browsers' subscriptions, as IBM's SDK writes them in its tokens (contract §3.1). Pure.

A token is a text with JSON, whose keys are in standard base64; the W3C's own form has them in
base64url.
"""

import base64

import msgspec

from heliograph.addresses import web_address
from heliograph.model import WebAddress


def read_browser_token(token: str) -> WebAddress:
    """
    Where a browser is reached.

    Raises:
        ValueError: It is no subscription, or leads to no https address.
    """
    try:
        given = msgspec.json.decode(token, type=_Token)
        keys = {"p256dh": _url_safe(given.public_key), "auth": _url_safe(given.secret)}
    except (ValueError, RecursionError, msgspec.MsgspecError):
        raise ValueError("it is no browser's subscription") from None
    return web_address(msgspec.json.encode({"endpoint": given.endpoint, "keys": keys}))


def _url_safe(text: str) -> str:
    raw = base64.b64decode(text.replace("-", "+").replace("_", "/").encode("ascii") + b"==")
    return base64.urlsafe_b64encode(raw).decode()


class _Token(msgspec.Struct):
    endpoint: str
    public_key: str = msgspec.field(name="userPublicKey")
    secret: str = msgspec.field(name="userAuth")
