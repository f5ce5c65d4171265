"""Interim."""

from collections.abc import Callable, Sequence

from cryptography.hazmat.primitives.asymmetric import ec

from heliograph.model import WebAddress
from heliograph.wire import ece


class Encryption:
    def __init__(self, randomness: Callable[[int], bytes]) -> None:
        self._randomness = randomness

    async def bodies(self, plaintext: bytes, addresses: Sequence[WebAddress]) -> list[bytes | None]:
        return [self._body(plaintext, address) for address in addresses]

    async def close(self) -> None: ...

    def _body(self, plaintext: bytes, address: WebAddress) -> bytes | None:
        try:
            return ece.encrypt(
                plaintext,
                p256dh=address.p256dh,
                auth=address.auth,
                private_key=self._message_key(),
                salt=self._randomness(16),
            )
        except ValueError:
            return None

    def _message_key(self) -> ec.EllipticCurvePrivateKey:
        while True:
            try:
                return ece.private_key_of(self._randomness(32))
            except ValueError:
                continue
