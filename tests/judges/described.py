"""
Schemathesis, which asks a server whatever its description allows, and much that it does not.

It makes requests from the description that the server serves; what is answered must be in the
description, too. Ids that exist are put in place of most that it makes up, or it would see
little but 404.
"""

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from prometheus_client.parser import text_string_to_metric_families
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.beams.words import new_token
from heliograph.client.publish import PushNotifications
from heliograph.model import Gateway
from heliograph.wire.http import url_problem
from support import Served, on_loopback

CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
_ONE_IN: Final = 8
"""So many ids, and so many credentials, one is left as it was made up, or missing."""


@dataclass(slots=True)
class Probe:
    """A server under questions, and how many of them it was asked."""

    base_url: str
    instance: str
    headers: dict[str, str]
    """A secret key and a Beams token, by the scheme that they are for."""
    tokens: dict[str, str]
    """Of a device of each gateway, which is registered whenever an operation begins."""
    publish: str
    """The id of a publish that is there."""
    session: requests.Session
    devices: dict[str, str] = field(default_factory=dict)
    """The ids that those devices have now."""
    asked: Counter[str] = field(default_factory=Counter)
    """By operation."""
    served: Counter[str] = field(default_factory=Counter)
    """By operation: what was answered 200."""
    answered: Counter[int] = field(default_factory=Counter)
    """By status."""

    def operations(self) -> Iterator[Any]:
        """Every operation of the description that the server itself serves."""
        description = self.session.get(f"{self.base_url}/docs/openapi.json", timeout=10).json()
        for result in schemathesis.openapi.from_dict(description).get_all_operations():
            yield result.ok()  # type: ignore[union-attr]  # ours is no invalid one

    def ask(self, operation: Any, count: int, *, number: int, mode: GenerationMode) -> None:
        """
        Ask an operation so many times.

        Args:
            operation: Which.
            count: How often, at most: there may not be as many different requests.
            number: Chooses what is asked.
            mode: What the description allows, or what it does not.

        Raises:
            Exception: What is wrong with an answer, with a command that asks it again.
        """
        dice = random.Random(number)
        self._register()  # what was asked before may have forgotten them

        @seed(number)
        @settings(
            max_examples=count,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def probe(case: Any) -> None:
            self._place(case, dice)
            answer = case.call(
                base_url=self.base_url,
                session=self.session,
                headers=self._headers(operation, dice),
            )
            self.asked[operation.label] += 1
            self.served[operation.label] += answer.status_code == requests.codes.ok
            self.answered[answer.status_code] += 1
            case.validate_response(answer, checks=CHECKS)

        probe()

    def lost_reports(self) -> int:
        """Reports that were answered 200 although keeping them failed."""
        text = self.session.get(f"{self.base_url}/metrics", timeout=10).text
        return sum(
            int(sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "heliograph_reports_total" and sample.labels["result"] == "lost"
        )

    def _register(self) -> None:
        for gateway, token in self.tokens.items():
            path = f"{self.base_url}/device_api/v1/instances/{self.instance}/devices/{gateway}"
            made = self.session.post(path, json={"token": token}, timeout=10)
            made.raise_for_status()
            self.devices[gateway] = made.json()["id"]

    def _place(self, case: Any, dice: random.Random) -> None:
        """Put what exists in place of most that was made up."""
        only_fcm = case.path.endswith("/token")  # the others' tokens do not change
        gateway = Gateway.FCM if only_fcm else dice.choice(list(Gateway))
        if isinstance(case.body, dict):
            self._place_in(case.body, gateway, dice)
        places: dict[str, Any] = dict(case.path_parameters)
        if not dice.randrange(_ONE_IN):
            if "404" not in case.operation.definition.raw["responses"]:
                # With a line break or a slash in it the path would be nobody's.
                case.path_parameters = places | {"instance": "nobody"}
            return
        places["instance"] = self.instance
        if "gateway" in places and dice.randrange(_ONE_IN):
            places["gateway"] = str(gateway)
            if "device" in places:
                places["device"] = self.devices[gateway]
        case.path_parameters = places

    def _place_in(self, body: dict[str, Any], gateway: Gateway, dice: random.Random) -> None:
        """As ``_place``; and nobody outside is called."""
        hook = body.get("webhookUrl")
        if isinstance(hook, str) and url_problem(hook) is None:
            body["webhookUrl"] = "https://127.0.0.1/hook"
        real = {
            "token": self.tokens[gateway],
            "deviceId": self.devices[gateway],
            "publishId": self.publish,
        }
        for name, value in real.items():
            if isinstance(body.get(name), str) and dice.randrange(_ONE_IN):
                body[name] = value

    def _headers(self, operation: Any, dice: random.Random) -> dict[str, str]:
        """What the operation has to bear; now and then not."""
        schemes = [name for each in operation.definition.raw.get("security", []) for name in each]
        if not schemes or not dice.randrange(_ONE_IN):
            return {}
        return {"authorization": self.headers[schemes[0]]}


@contextmanager
def probing(folder: Path) -> Iterator[Probe]:
    """A server on loopback, in a thread with a loop of its own, with a device of each kind."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    with ExitStack() as stack:
        stack.callback(loop.close)
        stack.callback(thread.join)
        stack.callback(loop.call_soon_threadsafe, loop.stop)
        manager = on_loopback(folder, publish_rate=10**6, device_rate=10**6)
        served = asyncio.run_coroutine_threadsafe(manager.__aenter__(), loop).result(60)
        stack.callback(
            lambda: asyncio.run_coroutine_threadsafe(
                manager.__aexit__(None, None, None), loop
            ).result(60)
        )
        session = stack.enter_context(requests.Session())
        yield _probe(served, session)


def _probe(served: Served, session: requests.Session) -> Probe:
    instance, base = served.instance, str(served.http.base_url).rstrip("/")
    key = instance.secret_keys[0]
    with PushNotifications(instance.id, key, endpoint=base) as beams:
        token = beams.generate_token("user-001")["token"]
        publish = beams.publish_to_interests(["hello"], {"web": {}})["publishId"]
    return Probe(
        base_url=base,
        instance=instance.id,
        headers={"secretKey": f"Bearer {key}", "beamsToken": f"Bearer {token}"},
        tokens={str(gateway): new_token(gateway) for gateway in Gateway},
        publish=publish,
        session=session,
    )
