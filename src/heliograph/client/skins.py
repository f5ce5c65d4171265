"""The two skins of a device: how its operations are run, and their connections closed."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from os import PathLike
from types import TracebackType
from typing import Final, Self

import httpx

from heliograph.client.endpoint import tls_context
from heliograph.client.steps import Operation, T, run, run_async

TIMEOUT_SECONDS: Final = 30.0
"""What each of connecting, sending and receiving may take unless told otherwise."""


class Skin:
    """Runs operations in the caller's thread, one after the other."""

    def __init__(
        self,
        http_client: httpx.Client | None,
        *,
        ca_file: str | PathLike[str] | None,
        timeout: float,
        sleep: Callable[[float], None],
    ) -> None:
        """Send by this client, which stays the caller's; None makes one of our own."""
        self._owns_http = http_client is None
        self._http = http_client or httpx.Client(verify=tls_context(ca_file), timeout=timeout)
        self._sleep = sleep
        self._turn = threading.Lock()

    def close(self) -> None:
        """Close the connections, unless the HTTP client is the caller's own."""
        if self._owns_http:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self, operation: Operation[T]) -> T:
        with self._turn:
            return run(operation, send=self._http.send, sleep=self._sleep)


class AsyncSkin:
    """Runs operations on the event loop, one after the other."""

    def __init__(
        self,
        http_client: httpx.AsyncClient | None,
        *,
        ca_file: str | PathLike[str] | None,
        timeout: float,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        """Send by this client, which stays the caller's; None makes one of our own."""
        self._owns_http = http_client is None
        self._http = http_client or httpx.AsyncClient(verify=tls_context(ca_file), timeout=timeout)
        self._sleep = sleep
        self._turn = asyncio.Lock()

    async def aclose(self) -> None:
        """Close the connections, unless the HTTP client is the caller's own."""
        if self._owns_http:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _run(self, operation: Operation[T]) -> T:
        async with self._turn:
            return await run_async(operation, send=self._http.send, sleep=self._sleep)
