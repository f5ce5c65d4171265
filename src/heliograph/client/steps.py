"""
Operations that do no I/O, and the two ways of running them.

An operation is a generator. It yields what it wants done, one step at a time, is sent
the answer, and returns its result:

* ``httpx.Request`` is answered by its ``httpx.Response``;
* ``Pause`` is answered by None, some time later;
* ``Call`` is answered by what the function returns.

When a step fails, its exception is raised inside the operation, at the ``yield``. So
every rule is written once, and ``run`` and ``run_async`` differ only in ``await``.
"""

import inspect
from collections.abc import Awaitable, Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import httpx

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait this long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Call:
    """
    Call something of the app's, or of the machine's.

    Under ``run_async`` the function may also be asynchronous.
    """

    function: Callable[[], object]


Step: TypeAlias = httpx.Request | Pause | Call

# Any, because what is sent in depends on the step that came out.
Operation: TypeAlias = Generator[Step, Any, T]


def run(
    operation: Operation[T],
    *,
    send: Callable[[httpx.Request], httpx.Response],
    sleep: Callable[[float], None],
) -> T:
    """Run an operation to its end in this thread, and return its result."""
    with closing(operation):
        try:
            step = next(operation)
            while True:
                try:
                    answer = _perform(step, send, sleep)
                except Exception as error:  # noqa: BLE001  (the operation decides)
                    step = operation.throw(error)
                else:
                    step = operation.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result


async def run_async(
    operation: Operation[T],
    *,
    send: Callable[[httpx.Request], Awaitable[httpx.Response]],
    sleep: Callable[[float], Awaitable[None]],
) -> T:
    """Run an operation to its end on the event loop, and return its result."""
    with closing(operation):
        try:
            step = next(operation)
            while True:
                try:
                    answer = await _perform_async(step, send, sleep)
                except Exception as error:  # noqa: BLE001  (the operation decides)
                    step = operation.throw(error)
                else:
                    step = operation.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result


def _perform(
    step: Step,
    send: Callable[[httpx.Request], httpx.Response],
    sleep: Callable[[float], None],
) -> object:
    match step:
        case Pause(seconds):
            sleep(seconds)
            return None
        case Call(function):
            answer = function()
            if inspect.iscoroutine(answer):
                answer.close()
                raise TypeError("an asynchronous callback needs the asynchronous class")
            return answer
        case request:
            return send(request)


async def _perform_async(
    step: Step,
    send: Callable[[httpx.Request], Awaitable[httpx.Response]],
    sleep: Callable[[float], Awaitable[None]],
) -> object:
    match step:
        case Pause(seconds):
            await sleep(seconds)
            return None
        case Call(function):
            answer = function()
            return await answer if inspect.isawaitable(answer) else answer
        case request:
            return await send(request)
