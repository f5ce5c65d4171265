import pytest

from heliograph.sandbox.doorway import is_ours, is_same_origin


@pytest.mark.parametrize(
    "host,bound_host,ours",
    [
        ("127.0.0.1:80", "127.0.0.1", True),
        ("127.8.9.1", "127.0.0.1", True),
        ("localhost:8080", "127.0.0.1", True),
        ("LOCALHOST", "127.0.0.1", True),
        ("[::1]:80", "127.0.0.1", True),
        ("sandbox.internal:80", "sandbox.internal", True),
        ("10.0.0.5:80", "0.0.0.0", True),  # noqa: S104 - a name, not bound to
        ("10.0.0.5:80", "127.0.0.1", False),
        ("evil.example", "127.0.0.1", False),
        ("evil.example", "0.0.0.0", False),  # noqa: S104
        ("localhost.evil.example", "127.0.0.1", False),
        ("", "127.0.0.1", False),
        ("[::1", "127.0.0.1", False),
    ],
)
def test_host_names(host: str, bound_host: str, ours: bool) -> None:
    """Only names of this machine are served, so that a rebound name is of no use."""
    assert ours == is_ours(host, bound_host)


@pytest.mark.parametrize(
    "origin,host,same",
    [
        ("http://127.0.0.1:80", "127.0.0.1:80", True),
        ("ws://127.0.0.1:80", "127.0.0.1:80", True),
        ("http://127.0.0.1:81", "127.0.0.1:80", False),
        ("https://evil.example", "127.0.0.1:80", False),
        ("null", "127.0.0.1:80", False),
    ],
)
def test_origins(origin: str, host: str, same: bool) -> None:
    """Pages of this very port may call it, others may not."""
    assert same == is_same_origin(origin, host)
