import pickle

import pytest

from heliograph.client import errors


@pytest.mark.parametrize(
    "error",
    [
        errors.PusherMissingInstanceError("Title: Text", status=404, error="a", description="b"),
        errors.PusherConnectionError("ConnectError: refused"),
        errors.NotStarted(),
        errors.NotRegistered(),
        errors.OtherInstance("instance"),
        errors.UserAlreadySet("user-001"),
        errors.Unreachable("status 503", status=503),
        errors.TokenProviderError("no Beams token", status=401),
        errors.NotFound(404, "Not found", "Device not found"),
        errors.StateError("why"),
    ],
)
def test_an_error_survives_pickling(error: Exception) -> None:
    """An error can cross to another process with its message and its data."""
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  (our own bytes)

    assert (type(error), str(error), vars(error)) == (type(again), str(again), vars(again))


def test_a_missing_instance_reads_without_quotes() -> None:
    """The message of an error that is also a KeyError is shown as it is."""
    assert "Title: Text" == str(errors.PusherMissingInstanceError("Title: Text"))
