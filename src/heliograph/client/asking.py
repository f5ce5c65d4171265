"""How an official SDK asks: what it is answered decides, by its table, if it asks again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import httpx

from heliograph.client.endpoint import error_texts
from heliograph.client.errors import (
    BadBeamsToken,
    BadDeviceToken,
    DeviceError,
    NotFound,
    RequestRefused,
    UnexpectedReply,
    Unreachable,
)
from heliograph.client.profiles import Call, Profile, Reaction
from heliograph.client.steps import Operation, Pause

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Failed:
    """A call that was not answered as it should be, and is not repeated."""

    reaction: Reaction
    error: DeviceError


def ask(
    profile: Profile, call: Call, request: httpx.Request, read: Callable[[httpx.Response], Read]
) -> Operation[Read | Failed]:
    """
    Send a request until it is answered as it should be, or its failure is final.

    Args:
        profile: The SDK that asks.
        call: Which of its tables holds.
        request: Sent again as it is.
        read: Reads a success. When it raises UnexpectedReply, the call has failed as if
            there had been no reply.
    """
    waits = iter(profile.report_waits if call is Call.REPORT else profile.waits)
    while True:
        try:
            reply: httpx.Response = yield request
            if reply.is_success:
                return read(reply)
        except httpx.RequestError as error:
            where = f"{request.method} {request.url.copy_with(query=None)}"
            failed = _failed(profile, call, Unreachable(f"{where}: {type(error).__name__}"))
        except UnexpectedReply as error:
            failed = _failed(profile, call, error)
        else:
            failed = _failed(profile, call, refusal(reply))
        if failed.reaction is not Reaction.RETRY:
            return failed
        yield Pause(next(waits))


def refusal(reply: httpx.Response) -> RequestRefused:
    """The error for a reply that is no success."""
    status = reply.status_code
    error, description = error_texts(reply)
    match status:
        case 404:
            return NotFound(status, error, description)
        case 401 | 403 if "device token" in description:
            return BadDeviceToken(status, error, description)
        case 401 | 403:
            return BadBeamsToken(status, error, description)
        case _:
            return RequestRefused(status, error, description)


def _failed(profile: Profile, call: Call, error: DeviceError) -> Failed:
    answers = profile.answers[call]
    if isinstance(error, RequestRefused):
        return Failed(answers.reaction(error.status, error.error, error.description), error)
    return Failed(answers.otherwise, error)
