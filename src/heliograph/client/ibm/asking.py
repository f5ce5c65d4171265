"""How IBM's SDKs ask: once, and by its table an answer is a success, a failure, or the end."""

import httpx

from heliograph.client.ibm.errors import Crash, NoCallback, SdkError
from heliograph.client.ibm.profiles import Call, Profile, Reaction
from heliograph.client.steps import Operation


class TakenForNew(Exception):  # noqa: N818  (it is no error, but what an answer means)
    """The answer means, to this SDK, that the device is not registered."""


def ask(profile: Profile, call: Call, request: httpx.Request) -> Operation[httpx.Response]:
    """
    Send a request, and return the reply if it is a success.

    Raises:
        TakenForNew: The device is to be registered anew; for ``Call.VERIFY`` only.
        SdkError, NoCallback, Crash: What the app would notice of another answer.
    """
    status: int | None = None
    reply: httpx.Response
    try:
        reply = yield request
    except httpx.RequestError as error:
        text = type(error).__name__
    else:
        status, text = reply.status_code, reply.text
    answers = profile.answers[call]
    match answers.reaction(status):
        case Reaction.CREATE:
            raise TakenForNew
        case Reaction.TELL:
            raise SdkError(answers.told(status), text, status=status)
        case Reaction.SILENCE:
            raise NoCallback(status=status)
        case Reaction.CRASH:
            raise Crash(f"{call}: the answer {status} has no error to show")
        case None:
            return reply
