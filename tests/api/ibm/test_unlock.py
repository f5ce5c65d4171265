"""Files with certificates, opened by a program that cannot hold anybody up."""

import asyncio

import pytest

from api.ibm.test_settings import p12
from heliograph.api.ibm.unlock import LARGEST_FILE, Unlocker
from heliograph.api.ibm.unlocking import Locked, opened
from heliograph.errors import Overloaded

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_what_is_in_a_file() -> None:
    """Certificate and key, both in PEM."""
    certificate, key = await Unlocker().unlock(p12(password="secret"), "secret")

    assert "BEGIN CERTIFICATE" in certificate
    assert "BEGIN PRIVATE KEY" in key


@pytest.mark.parametrize(
    "content, password, rule",
    [
        (p12(password="secret"), "wrong", "password is wrong"),
        (b"", "", "not PKCS #12"),
        (b"x" * (LARGEST_FILE + 1), "", "at most 65536 bytes"),
    ],
    ids=["password", "nothing", "large"],
)
async def test_what_cannot_be_opened(content: bytes, password: str, rule: str) -> None:
    """The message says why."""
    with pytest.raises(ValueError, match=rule):
        await Unlocker().unlock(content, password)


async def test_a_file_that_takes_hours_is_given_up() -> None:
    """Contract §6: whoever has an app secret may bring a file; it must not stop the server."""
    with pytest.raises(ValueError, match="too long"):
        await Unlocker().unlock(tiring(p12()), "")


@pytest.mark.parametrize("content", [b"", b"0\x80", bytes(100)])
async def test_a_bad_file_is_answered(content: bytes) -> None:
    """The program tells what is wrong rather than end."""
    assert "PKCS #12" in str(opened(Locked(content, "")).problem)


async def test_who_brings_too_many_is_told_so() -> None:
    """Nobody waits behind a crowd: eight are taken, the others may try again."""
    unlock = Unlocker().unlock
    asked = await asyncio.gather(*[unlock(b"", "") for _ in range(10)], return_exceptions=True)

    assert [ValueError] * 8 + [Overloaded] * 2 == [type(each) for each in asked]


def tiring(file: bytes) -> bytes:
    """A file whose password is to be hashed two thousand million times (RFC 7292 §4)."""
    body, times = file[4:], bytes.fromhex("02047fffffff")
    assert bytes.fromhex("02020800") == body[-4:]  # the end of the MacData: 2,048 times
    start = len(body) - 67
    assert bytes.fromhex("3041") == body[start : start + 2]
    mac = bytes.fromhex("3043") + body[start + 2 : -4] + times
    content = body[:start] + mac
    return file[:2] + len(content).to_bytes(2, "big") + content
