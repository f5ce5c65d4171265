"""
What the two SDKs raise. Wrong arguments are a plain TypeError or ValueError.

::

    PusherError                        the back end's SDK, names as in Pusher's
    ├── PusherAuthError                the secret key is wrong (also a ValueError)
    ├── PusherBadResponseError         the reply makes no sense
    ├── PusherConnectionError          no reply at all (Pusher's SDK raises its HTTP library's)
    ├── PusherMissingInstanceError     there is no such instance (also a KeyError)
    ├── PusherServerError              the server failed
    └── PusherValidationError          the server refused the request (also a ValueError)

    DeviceError                        the device's SDK
    ├── NotStarted                     start() comes first
    ├── NotRegistered                  register_device_token() comes first
    ├── OtherInstance                  the stored state belongs to another instance
    ├── UserAlreadySet                 another user is logged in on this device
    ├── StateError                     the state file cannot be read
    ├── TokenProviderError             the app's own back end gave no Beams token
    ├── Unreachable                    the server did not answer, or only with 5xx or 429
    ├── UnexpectedReply                the reply makes no sense
    └── RequestRefused                 the server said no: status, error, description
        ├── NotFound                   404: the device, or the whole instance, is not there
        ├── BadDeviceToken             the push token was not accepted
        └── BadBeamsToken              the Beams token was not accepted

What IBM's SDKs raise besides is in ``ibm/errors.py``.
"""

# ruff: noqa: N818  (most names read as what they say; the rest are Pusher's)


class PusherError(Exception):
    """The root of what the back end's SDK raises about the server."""

    def __init__(
        self,
        message: str = "",
        *,
        status: int | None = None,
        error: str | None = None,
        description: str | None = None,
    ) -> None:
        """Keep the reply's HTTP status and its two texts; None where there was none."""
        super().__init__(message)
        self.message = message
        self.status = status
        self.error = error
        self.description = description

    def __str__(self) -> str:
        # KeyError, a parent of one of ours, would show it in quotes.
        return self.message


class PusherValidationError(PusherError, ValueError):
    """The server refused the request: a 4xx other than 401 and 404."""


class PusherAuthError(PusherError, ValueError):
    """The secret key is wrong (401)."""


class PusherMissingInstanceError(PusherError, KeyError):
    """There is no such instance (404)."""


class PusherServerError(PusherError):
    """The server failed (5xx)."""


class PusherBadResponseError(PusherError):
    """The reply is neither the expected JSON nor an error."""


class PusherConnectionError(PusherError):
    """
    There was no whole reply: refused, reset, timed out.

    The server may have acted on the request all the same, so a publish that is
    repeated after it may arrive twice.
    """


class DeviceError(Exception):
    """The root of what the device's SDK raises about state and server."""


class NotStarted(DeviceError):
    """``start`` comes first."""

    def __str__(self) -> str:
        return "call start(instance_id) first"


class NotRegistered(DeviceError):
    """``register_device_token`` comes first."""

    def __str__(self) -> str:
        return "call register_device_token(token) first"


class OtherInstance(DeviceError):
    """The stored state belongs to another instance; ``stop`` that one first."""

    def __init__(self, instance_id: str) -> None:
        """Carry the instance that the state belongs to."""
        super().__init__(instance_id)
        self.instance_id = instance_id

    def __str__(self) -> str:
        return f"this device is started with instance {self.instance_id}; stop() it first"


class UserAlreadySet(DeviceError):
    """Another user is logged in on this device; ``clear_all_state`` logs them out."""

    def __init__(self, user_id: str) -> None:
        """Carry the user who is logged in."""
        super().__init__(user_id)
        self.user_id = user_id

    def __str__(self) -> str:
        return f"user {self.user_id!r} is set already; call clear_all_state() first"


class StateError(DeviceError):
    """The stored state cannot be used; the message says why."""


class TokenProviderError(DeviceError):
    """The app's own back end gave no Beams token."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        """Keep the status of its reply; None when there was none."""
        super().__init__(message)
        self.status = status


class Unreachable(DeviceError):
    """Every attempt ended without a reply, or with 5xx or 429."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        """Keep the status of the last reply; None when there was none."""
        super().__init__(message)
        self.status = status


class UnexpectedReply(DeviceError):
    """The server's reply makes no sense."""


class RequestRefused(DeviceError):
    """The server said no, and would say no again."""

    def __init__(self, status: int, error: str, description: str) -> None:
        """Keep the reply's HTTP status and its two texts."""
        super().__init__(status, error, description)
        self.status = status
        self.error = error
        self.description = description

    def __str__(self) -> str:
        return f"{self.status} {self.error}: {self.description}"


class NotFound(RequestRefused):
    """404: the device, or the whole instance, is not there."""


class BadDeviceToken(RequestRefused):
    """401 or 403 about the push token that was registered."""


class BadBeamsToken(RequestRefused):
    """401 or 403 about the Beams token of ``set_user_id``."""
