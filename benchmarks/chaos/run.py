"""A run: rounds of publishes, faults and kills, and the books that are kept meanwhile."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import httpx
from benchmarks.chaos.ledger import Asked, Broken, Fate, Ledger
from benchmarks.chaos.parts import Part, Server
from benchmarks.chaos.script import DEVICES_OF_A_USER, EVERYTHING, Order, Round, Size, rounds
from benchmarks.chaos.stage import MOST_IN_HAND, Device, Mode, Stage, floors, staged

from heliograph.client.publish import (
    AsyncPushNotifications,
    PusherConnectionError,
    PusherServerError,
)
from support import ADMIN

WITHOUT_DELIVERIES: Final = frozenset({"api", "nats"})
"""Parts whose death costs no repeat: they have no delivery in hand, and keep none."""

_LOOK_SECONDS: Final = 0.2
"""Between two looks at what is observed again and again."""

_QUIET_SECONDS: Final = 2.0
"""Without an arrival; then the moment for which a kill waits does not come any more."""

_BACKLOG: Final = 0.1
"""The share of a round's deliveries that may be left when the next begins."""

_LONGEST_SECONDS: Final = 300.0
"""For anything; more means that something stands still. Paused lanes take minutes."""

_TRACES_AT_ONCE: Final = 4


@dataclass(slots=True)
class Report:
    """What a run came to."""

    mode: Mode
    seed: int
    rounds: int = 0
    devices: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    publishes: int = 0
    asked_again: int = 0
    """Requests that were not answered, and were made again with their key."""
    ends: Counter[str] = field(default_factory=Counter)
    arrivals: int = 0
    repeats: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    told: int = 0
    """Calls that the webhook took."""
    refused: int = 0
    """Calls that it refused, each once."""
    observations: int = 0
    recoveries: list[float] = field(default_factory=list)
    """Seconds from each kill to the arrival of a publish that was asked for after it."""
    seconds: float = 0.0

    @property
    def repeated(self) -> float:
        """Repeats, as a share of the deliveries."""
        return self.repeats.total() / max(1, self.ends["sent"])


async def prove(
    mode: Mode,
    size: Size,
    seed: int,
    *,
    victims: Sequence[str] = (),
    progress: Callable[[Round], None] = lambda _round: None,
) -> Report:
    """
    Run, and say what it came to.

    Args:
        mode: One process, or several with PostgreSQL and NATS.
        size: How much happens.
        seed: Chooses what happens.
        victims: The parts that are killed in turn; unless told, each of them, and then all at
            once.
        progress: Told of each round that is over.

    Raises:
        Broken: A promise does not hold.
        AssertionError: A process has ended that nobody killed.
        TimeoutError: Something stands still.
    """
    begun = time.monotonic()
    dice = Random(f"{seed}/{mode}")  # noqa: S311  (to be repeated)
    async with staged(mode, size.users) as stage:
        script = rounds(size, victims or _everybody(stage), dice)
        run = Run(stage, Report(mode, seed), size)
        async with run.keeping_books():
            for each in script:
                await run.play(each)
                progress(each)
            await run.come_to_rest()
        await run.judge()
    run.check_failures()
    run.report.seconds = time.monotonic() - begun
    return run.report


class Run:
    """One run on one stage."""

    def __init__(self, stage: Stage, report: Report, size: Size) -> None:
        self.report = report
        self._stage = stage
        self._ledger = Ledger()
        self._read_to = 0
        self._frail = stage.devices[: size.frail_users * DEVICES_OF_A_USER]
        self._away: list[Device] = []
        """Devices that were struck in the last round, whose apps are to register again."""
        self._news = asyncio.Event()
        self._most_repeats = 0
        """Deliveries that those who died may have had in hand, all together."""
        self._deaths: list[tuple[float, list[str]]] = []
        """When the victim of each round died, and what was asked for after that."""

    @contextlib.asynccontextmanager
    async def keeping_books(self) -> AsyncIterator[None]:
        """Observe without a pause; whatever is found broken ends the block."""
        try:
            async with asyncio.TaskGroup() as group:
                clerks = [group.create_task(self._observe()), group.create_task(self._collect())]
                yield
                for clerk in clerks:
                    clerk.cancel()
        except BaseExceptionGroup as problems:
            raise problems.exceptions[0] from None

    # --- a round ---------------------------------------------------------------------

    async def play(self, script: Round) -> None:
        """Publish, kill, publish, start again; return when little is left to be delivered."""
        await self._follow(script)
        await self._restore()
        self._away = [self._stage.devices[place] for place in script.doom]
        expected = sum(len(self._stage.audience(order)) for order in script.orders)
        before = self._ledger.arrivals
        early = [asyncio.create_task(self._publish(order)) for order in script.orders]
        await self._taken(before + int(script.moment * expected))
        await asyncio.sleep(script.pause)
        late = await self._strike(script)
        await asyncio.gather(*early, *late)
        await self._until(lambda: self._left() <= _BACKLOG * expected, "too much is left")
        self._check_alive()
        self.report.rounds += 1

    async def _follow(self, script: Round) -> None:
        doom = [
            dict(fault) | {"token": self._stage.devices[place].address}
            for place, fault in script.doom.items()
        ]
        await self._set_faults(script.number, [*doom, *map(dict, script.weather)])

    async def _set_faults(self, seed: int, faults: Sequence[dict[str, Any]]) -> None:
        """Put these in force; what those before have done is counted first."""
        url = f"{self._stage.management}/scenario"
        for met in (await self._stage.http.get(url)).json()["faults"]:
            self.report.faults[met["fault"]] += met["met"]
        answer = await self._stage.http.put(url, json={"seed": seed, "faults": faults})
        answer.raise_for_status()

    async def _restore(self) -> None:
        """Have the apps register again on devices that were said to be gone."""
        for device in self._away:
            await self._stage.register_again(device)

    async def _taken(self, arrivals: int) -> None:
        """Return when so much has arrived, or nothing arrives any more."""
        while self._ledger.arrivals < arrivals:
            self._news.clear()
            try:
                async with asyncio.timeout(_QUIET_SECONDS):
                    await self._news.wait()
            except TimeoutError:
                return

    async def _strike(self, script: Round) -> list[asyncio.Task[None]]:
        """Kill the victim, publish while it is dead, and start it again."""
        parts = self._victims(script.victim)
        await asyncio.gather(*[self._kill(part) for part in reversed(parts)])
        self.report.kills[script.victim] += 1
        died = time.time()
        late, tried = [], []
        for order in script.late:
            tried.append(asyncio.Event())
            late.append(asyncio.create_task(self._publish(order, tried[-1])))
        await asyncio.gather(*[each.wait() for each in tried])
        for floor in floors(parts):
            await asyncio.gather(*[self._start(part, script) for part in floor])
        self._deaths.append((died, [order.words for order in script.late]))
        return late

    def _victims(self, name: str) -> list[Part]:
        parts = self._stage.parts
        return list(parts.values()) if name == EVERYTHING else [parts[name]]

    async def _kill(self, part: Part) -> None:
        part.check_alive()
        await part.kill()
        if part.name not in WITHOUT_DELIVERIES:
            self._ledger.kills.append(time.time())
            hit = 1 if isinstance(part, Server) else len(self._stage.workers)
            self._most_repeats += hit * MOST_IN_HAND

    async def _start(self, part: Part, script: Round) -> None:
        """Start what was killed; in some rounds it is killed once more while it starts."""
        await part.start()
        if script.again_after is not None and part.name == script.victim:
            await asyncio.sleep(script.again_after)
            await self._kill(part)
            self.report.kills[f"{part.name}, at its start"] += 1
            await part.start()
        await part.ready()

    def _check_alive(self) -> None:
        for part in self._stage.parts.values():
            part.check_alive()

    # --- the back end ----------------------------------------------------------------

    async def _publish(self, order: Order, tried: asyncio.Event | None = None) -> None:
        """Ask for a publish, again and again if it has a key; ``tried`` is set after once."""
        asked = self._ledger.ask(order, self._stage.audience(order), now=time.time())
        self.report.publishes += 1
        while True:
            answer = await _ask(self._stage.client(), order)
            if tried is not None:
                tried.set()
            if answer is not None:
                asked.publish = answer["publishId"]
                break
            if not order.has_key:
                return
            self.report.asked_again += 1
            await asyncio.sleep(_LOOK_SECONDS)
        if order.is_cancelled:
            await self._cancel(asked)

    async def _cancel(self, asked: Asked) -> None:
        while True:
            url = self._stage.admin(f"/publishes/{asked.publish}/cancel")
            with contextlib.suppress(httpx.TransportError):
                if (await self._stage.http.post(url, headers=ADMIN)).is_success:
                    return
            await asyncio.sleep(_LOOK_SECONDS)

    # --- the books -------------------------------------------------------------------

    async def _observe(self) -> None:
        """Look at every publish that is under way, over and over."""
        while True:
            for asked in self._ledger.under_way():
                await self._look(asked)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _look(self, asked: Asked) -> bool:
        """Observe one publish; whether anybody answered."""
        try:
            answer = await self._stage.http.get(
                self._stage.admin(f"/publishes/{asked.publish}"), headers=ADMIN
            )
        except httpx.TransportError:
            return False
        if answer.is_server_error:
            return False
        self._ledger.observe(asked, answer.json() if answer.is_success else None)
        return True

    async def _collect(self) -> None:
        """Read what arrives, over and over."""
        while True:
            await self._read_inbox()
            await asyncio.sleep(_LOOK_SECONDS)

    async def _read_inbox(self) -> None:
        url = f"{self._stage.management}/inbox"
        entries = (await self._stage.http.get(url, params={"after": self._read_to})).json()
        for entry in entries:
            self._ledger.arrive(entry)
            self._read_to = entry["id"]
        if entries:
            self._news.set()

    def _left(self) -> int:
        return sum(each.left for each in self._ledger.asked.values())

    async def _until(self, is_so: Callable[[], bool], complaint: str) -> None:
        try:
            async with asyncio.timeout(_LONGEST_SECONDS):
                while not is_so():  # noqa: ASYNC110  (it is observed, over and over)
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            under_way = [(each.order.words, each.counts) for each in self._ledger.under_way()]
            raise Broken(f"{complaint}: {under_way}") from None

    # --- the end ---------------------------------------------------------------------

    async def come_to_rest(self) -> None:
        """Return when the services are well again and everything is over."""
        await self._set_faults(0, [])
        await self._until(lambda: not self._ledger.under_way(), "it does not come to its end")
        await self._read_inbox()
        for asked in self._ledger.adopt():
            await self._look(asked)
        await self._until(lambda: not self._ledger.under_way(), "it does not come to its end")
        await self._until(
            lambda: self._ledger.to_be_told() <= self._stage.hook.told.keys(), "nobody was told"
        )

    async def judge(self) -> None:
        """Look at everything once more, and hold it against what arrived."""
        await self._read_inbox()
        for asked in self._ledger.asked.values():
            if asked.publish is not None and not await self._look(asked):
                raise Broken(f"nobody answers for {asked.order.words}")
        frail = {device.address for device in self._frail}
        fates = await self._trace(list(self._ledger.to_be_traced(frail)))
        self._ledger.judge(fates, frail)
        self._ledger.judge_told(self._stage.hook.told, self._stage.hook.calls)
        self._fill_report()
        self._check_repeats()

    async def _trace(self, deliveries: Sequence[tuple[Asked, str]]) -> dict[tuple[str, str], Fate]:
        ids = {device.address: device.id for device in self._stage.devices}
        fates: dict[tuple[str, str], Fate] = {}
        left = iter(deliveries)

        async def some() -> None:
            for asked, address in left:
                url = self._stage.admin(f"/publishes/{asked.publish}/trace")
                answer = await self._stage.http.get(
                    url, params={"device": ids[address]}, headers=ADMIN
                )
                told = answer.raise_for_status().json()
                fates[str(asked.publish), address] = Fate(told["decision"], told["attempts"])

        await asyncio.gather(*[some() for _ in range(_TRACES_AT_ONCE)])
        return fates

    def _fill_report(self) -> None:
        ledger, report = self._ledger, self.report
        hook = self._stage.hook
        report.told, report.refused = hook.heard.total(), len(hook.refused)
        report.devices = len(self._stage.devices)
        report.ends, report.repeats = ledger.ends, ledger.repeats
        report.arrivals, report.observations = ledger.arrivals, ledger.observations
        for died, words in self._deaths:
            arrived = [ledger.asked[each].first_arrival for each in words]
            report.recoveries.append(min(filter(None, arrived)) - died)

    def _check_repeats(self) -> None:
        """No kill has repeated more than was in hand."""
        repeats = self._ledger.repeats["kill"]
        if repeats > self._most_repeats:
            raise Broken(f"{repeats} repeats by kills: at most {self._most_repeats} were in hand")

    def check_failures(self) -> None:
        """
        Hold what the servers logged, and how they ended, against what happened to them.

        A server that is alone is killed or well: nothing that it counts on goes away.
        """
        for server in self._stage.servers:
            if self.report.mode == "embedded" and server.failures:
                raise Broken(f"failures of its own: {dict(server.failures)}")
            if server.status != 0:
                raise Broken(f"{server.name} ended with {server.status}")


def _everybody(stage: Stage) -> list[str]:
    """Each part, and all at once where that is something else."""
    names = list(stage.parts)
    return [*names, EVERYTHING] if len(names) > 1 else names


async def _ask(client: AsyncPushNotifications, order: Order) -> dict[str, Any] | None:
    """Ask for a publish once; None if there was no answer, or none that says how it went."""
    body = {
        "apns": {"aps": {"alert": "Hello"}, "data": {"words": order.words}},
        "fcm": {"notification": {"title": "Hello"}, "data": {"words": order.words}},
        "web": {"notification": {"title": "Hello"}, "data": {"words": order.words}},
    }
    key = order.words if order.has_key else None
    try:
        if order.users:
            return await client.publish_to_users([*order.users], body, idempotency_key=key)
        return await client.publish_to_interests([*order.interests], body, idempotency_key=key)
    except (PusherConnectionError, PusherServerError):
        return None
