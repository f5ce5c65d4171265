"""Rounds from end to end, with as few notifications as may be."""

import dataclasses
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hatchling.builders.wheel import WheelBuilder
from typer.testing import CliRunner

from heliograph.bench.requirements import Kit, PythonPackage
from heliograph.bench.rounds import Failure, Plan, Run, run
from heliograph.bench.senders import OURS, PEERS, SENDERS, Sender
from heliograph.bench.sink import Shape
from heliograph.cli import commands
from heliograph.model import Gateway

ROOT = Path(__file__).parents[2]
KIT = Kit(ROOT / "tests" / "judges" / "node" / "node_modules")


def sender(name: str) -> Sender:
    (found,) = [each for each in SENDERS if each.name == name]
    return found


def plan(*senders: Sender, gateway: Gateway) -> Plan:
    return Plan(senders, (gateway,), (Shape.RECORDS,), rounds=1, most=30)


def done(*senders: Sender, gateway: Gateway = Gateway.APNS) -> dict[str, Run | Failure]:
    outcomes = run(plan(*senders, gateway=gateway), KIT, lambda *_: None)
    return {outcome.turn.sender.name: outcome for outcome in outcomes}


@pytest.mark.parametrize("gateway", Gateway)
def test_every_sender_that_tests_can_run_does_its_work(gateway: Gateway) -> None:
    """All that is in Python or for Node.js sends as many as it was told, and says what it took."""
    able = [
        each
        for each in SENDERS
        if gateway in each.counts and each.language != "go" and not each.missing(KIT)
    ]

    found = done(*[each for each in able if each.name != "h2load"], gateway=gateway)

    assert [] == [each.reason for each in found.values() if isinstance(each, Failure)]
    assert all(
        (30 * name.processes, True, True)
        == (outcome.report.sent, outcome.report.cpu_seconds > 0, outcome.report.peak_bytes > 0)
        for outcome in found.values()
        if isinstance(outcome, Run)
        for name in [outcome.turn.sender]
    )
    assert OURS in found


def test_everybody_has_one_turn_in_a_round() -> None:
    """For each gateway that a sender speaks to, and each shape; those to compare are neighbours."""
    turns = Plan((sender(OURS), sender("httpx"))).turns()

    assert [
        (gateway, shape, name)
        for gateway in Gateway
        for shape in Shape
        for name in ([OURS, "httpx"] if gateway is not Gateway.WEB else [OURS])
    ] == [(each.gateway, each.shape, each.sender.name) for each in turns]


def test_who_is_not_installed_is_told_how() -> None:
    """A sender that lacks a package is an outcome, and does not keep the others from theirs."""
    lacking = dataclasses.replace(sender("httpx"), needs=(PythonPackage("no-such-package"),))

    found = done(lacking, sender(OURS))

    assert "not installed: pip install 'no-such-package'" == getattr(found["httpx"], "reason", "")
    assert isinstance(found[OURS], Run)


def test_who_crashes_is_told_with_its_last_words() -> None:
    """A sender that ends with an error is an outcome, too."""
    broken = dataclasses.replace(sender(OURS), program="nobody", name="broken")

    found = done(broken, sender(OURS))

    assert "No module named heliograph.bench.peers.nobody" in getattr(found["broken"], "reason", "")
    assert isinstance(found[OURS], Run)


def test_a_claim_that_the_sink_has_not_seen_is_refused() -> None:
    """Who does not send cannot win."""
    lazy = dataclasses.replace(sender(OURS), processes=2)  # so it is expected to send twice

    found = done(lazy)

    assert "it claims 31 requests; the sink has seen 31" in getattr(found[OURS], "reason", "")


def test_the_command_writes_a_table_and_a_picture(tmp_path: Path) -> None:
    """``heliograph bench senders --quick`` with ours and a peer: Markdown, and SVG that is XML."""
    arguments = [
        "bench",
        "senders",
        "--quick",
        "--count",
        "20",
        "--only",
        "httpx",
        "--only",
        "heliograph",
    ]
    arguments += ["--gateway", "fcm", "--shape", "records", "--output", str(tmp_path)]

    result = CliRunner().invoke(commands, arguments)

    assert 0 == result.exit_code, result.output
    assert "| httpx | " in (tmp_path / "bench.md").read_text()
    assert "svg" in ET.fromstring((tmp_path / "bench.svg").read_text()).tag  # noqa: S314  (our own)


def test_the_command_knows_no_stranger() -> None:
    """A name that no sender has is a problem, told with the names that there are."""
    result = CliRunner().invoke(commands, ["bench", "--only", "nobody"])

    assert "there is no such sender; there are heliograph" in str(result.exception)


def test_every_sender_is_a_file_of_the_wheel() -> None:
    """What is in Go or for Node.js is packed with the modules."""
    builder = WheelBuilder(str(ROOT))
    packed = {file.distribution_path for file in builder.recurse_included_files()}

    assert {f"heliograph/bench/peers/{path.name}" for path in PEERS.glob("*.[gm]*")} <= packed
    assert any(name.endswith(".go") for name in packed)
    assert json.dumps(sorted(packed)).count(".mjs") == len(list(PEERS.glob("*.mjs")))
