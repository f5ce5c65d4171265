"""
What the imitation of IBM's SDKs raises, besides ``StateError``: what an app would notice.

::

    DeviceError
    ├── NotInitialized      initialize() comes first
    ├── SdkError            the SDK tells the app that something failed
    ├── NoCallback          the SDK never tells the app anything
    └── Crash               the SDK throws what nobody catches
"""

from heliograph.client.errors import DeviceError

# ruff: noqa: N818  (the names read as what they say)


class NotInitialized(DeviceError):
    """``initialize`` comes first."""

    def __str__(self) -> str:
        return "call initialize(app_guid, client_secret) first"


class SdkError(DeviceError):
    """The SDK calls the app back, with a failure."""

    def __init__(self, code: int | None, text: str, *, status: int | None = None) -> None:
        """
        Keep what the app is told.

        Args:
            code: The number: a status, or one of the SDK's own; None where the web SDK has
                none by mistake (§2.5).
            text: The text of the reply, or what went wrong.
            status: Of the reply; None if there was none.
        """
        super().__init__(code, text, status)
        self.code = code
        self.text = text
        self.status = status

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"


class NoCallback(DeviceError):
    """The SDK calls the app back neither with a success nor with a failure."""

    def __init__(self, *, status: int | None) -> None:
        """Keep the status of the last reply; None if nothing was asked."""
        super().__init__(status)
        self.status = status

    def __str__(self) -> str:
        return f"the app is never called back (status {self.status})"


class Crash(DeviceError):
    """The SDK throws what nobody catches: the app ends, or the worker's event does."""
