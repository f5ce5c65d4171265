"""
The Node.js implementation of RFC 8188 and RFC 8291, and ours, read what the other writes.

Each test asks once for many bodies, since starting Node.js takes longer than all of them.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from secrets import token_bytes as some_bytes
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from heliograph.wire import ece
from judges.javascript import ask

BROWSER: Final = ec.generate_private_key(ec.SECP256R1())
SENDER: Final = ec.generate_private_key(ec.SECP256R1())

LENGTHS: Final = (*range(1, 40), 255, 256, 1000, ece.MAX_PLAINTEXT_BYTES)
"""Around the size of a block and of a byte, and the longest that one push carries."""

RECORD_SIZES: Final = (18, 19, 33, 100, 4096)
"""From one byte of text in each record to all of it in one."""


def scalar(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_numbers().private_value.to_bytes(32)


def base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def task(operation: str, body: bytes, auth: bytes, record_size: int = 4096) -> dict[str, object]:
    return {
        "operation": operation,
        "body": base64url(body),
        "browser": base64url(scalar(BROWSER)),
        "sender": base64url(scalar(SENDER)),
        "auth": base64url(auth),
        "rs": record_size,
    }


async def test_it_reads_what_we_write() -> None:
    """Bodies of ours open with its decryption, and are what they were, the empty one included."""
    cases = [(some_bytes(length), some_bytes(16)) for length in (0, *LENGTHS)]
    bodies = [
        ece.encrypt(
            text,
            p256dh=ece.public_key_bytes(BROWSER),
            auth=auth,
            private_key=SENDER,
            salt=some_bytes(16),
        )
        for text, auth in cases
    ]
    tasks = [task("decrypt", body, auth) for body, (_, auth) in zip(bodies, cases, strict=True)]
    answer = await ask("http_ece", tasks)

    assert [text for text, _ in cases] == [decoded(each) for each in answer]


async def test_we_read_what_it_writes() -> None:
    """Its bodies open with ours, of one record or of many."""
    cases = [
        (some_bytes(length), some_bytes(16), size) for length in LENGTHS for size in RECORD_SIZES
    ]
    answer = await ask("http_ece", [task("encrypt", *case) for case in cases])
    texts = [
        ece.decrypt(decoded(body), private_key=scalar(BROWSER), auth=auth)
        for body, (_, auth, _) in zip(answer, cases, strict=True)
    ]

    assert [text for text, _, _ in cases] == texts
