"""
Tokens that stand for an app secret, as IBM's identity service gives for an API key.

Contract §1.4. A token is a JSON Web Token for one instance, signed with its app secret, so that
it is good in every process and for nothing else. Some of IBM's tools read its claims.
"""

from datetime import datetime, timedelta
from typing import Any, Final, Literal

from heliograph.instances import Instance
from heliograph.wire import jws

LIFETIME: Final = timedelta(hours=1)
REFRESH_LIFETIME: Final = timedelta(days=30)

_Use = Literal["access", "refresh"]


def grant(instance: Instance, *, now: datetime) -> dict[str, Any]:
    """What is answered to a valid API key: a token, and one to have the next by."""
    expires_at = now + LIFETIME
    return {
        "access_token": _sign(instance, "access", now, expires_at),
        "refresh_token": _sign(instance, "refresh", now, now + REFRESH_LIFETIME),
        "token_type": "Bearer",
        "expires_in": int(LIFETIME.total_seconds()),
        "expiration": int(expires_at.timestamp()),
        "scope": "ibm openid",
        # Clients look for it; nobody of ours has a number at IBM.
        "ims_user_id": 0,
    }


def is_token(token: str, instance: Instance, *, now: datetime, use: _Use = "access") -> bool:
    """Whether a token was given for an instance, for this use, and is not over."""
    try:
        claims = jws.verify_hs256(token, instance.app_secret)
    except jws.InvalidSignature:
        return False
    expires = claims.get("exp")
    is_ours = claims.get("sub") == instance.id and claims.get("use") == use
    return is_ours and isinstance(expires, int) and expires > now.timestamp()


def _sign(instance: Instance, use: _Use, now: datetime, expires_at: datetime) -> str:
    claims = {
        "sub": instance.id,
        "use": use,
        "iat": int(now.timestamp()),
        "exp": int(expires_at.timestamp()),
        # Without these IBM's Terraform provider and command line do not go on.
        "id": instance.id,
        "iss": "https://iam.cloud.ibm.com/identity",
        "account": {"bss": instance.id},
    }
    return jws.sign_hs256({"typ": "JWT"}, claims, instance.app_secret)
