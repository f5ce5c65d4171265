import pytest

from heliograph.sandbox.exchange import Gateway
from heliograph.sandbox.scenario import (
    Fault,
    FaultName,
    Plan,
    Scenario,
    ScenarioError,
    parse_plan,
)

PHONE = ("phone",)
LAPTOP = ("channel", "https://push.example/push/channel", "base64")


def names(scenario: Scenario, *tokens: tuple[str, ...]) -> list[str]:
    """Which fault each of these APNs requests meets, '' for none."""
    met = [scenario.next_fault(Gateway.APNS, token) for token in tokens]
    return ["" if fault is None else fault.fault.value for fault in met]


def test_nothing_happens_without_faults() -> None:
    """An empty plan lets everything through."""
    assert [""] == names(Scenario(), PHONE)


def test_first_match_strikes() -> None:
    """Of several faults the first that concerns the request is met."""
    plan = Plan(faults=(Fault(FaultName.RESET, token="other"), Fault(FaultName.GOAWAY)))

    assert ["goaway"] == names(Scenario(plan), PHONE)


def test_times_are_used_up() -> None:
    """A fault with `times` is met that often, then the next one or none."""
    plan = Plan(faults=(Fault(FaultName.RESET, times=2), Fault(FaultName.GOAWAY, times=1)))

    assert ["reset", "reset", "goaway", ""] == names(Scenario(plan), *[PHONE] * 4)


@pytest.mark.parametrize("token", LAPTOP)
def test_a_browser_goes_by_any_of_its_names(token: str) -> None:
    """A browser's fault may name its channel, its endpoint or its base64 token."""
    scenario = Scenario(Plan(faults=(Fault(FaultName.RESET, token=token),)))

    assert scenario.next_fault(Gateway.WEB, LAPTOP) is not None
    assert scenario.next_fault(Gateway.WEB, PHONE) is None


@pytest.mark.parametrize(
    "gateway,met", [(None, "apns fcm web"), ("apns", "apns"), ("oauth", "oauth")]
)
def test_gateways(gateway: str | None, met: str) -> None:
    """A fault without a gateway is for the three services; the token endpoint must be named."""
    rest = "" if gateway is None else f', "gateway": "{gateway}"'
    plan = parse_plan(f'{{"faults": [{{"fault": "unavailable"{rest}}}]}}'.encode())
    scenario = Scenario(plan)

    assert met.split() == [each for each in Gateway if scenario.next_fault(each, ())]


def test_chance_is_repeatable() -> None:
    """The same seed strikes the same requests of the same device, whatever others do."""
    plan = Plan(seed=7, faults=(Fault(FaultName.RESET, chance=0.5),))
    alone = names(Scenario(plan), *[PHONE] * 40)
    among_others = names(Scenario(plan), *[LAPTOP, PHONE] * 40)[1::2]
    reseeded = names(Scenario(Plan(seed=8, faults=plan.faults)), *[PHONE] * 40)

    assert alone == among_others
    assert alone != reseeded
    assert {"", "reset"} == set(alone)


def test_chance_is_fair() -> None:
    """One in ten of many devices is struck, roughly."""
    scenario = Scenario(Plan(seed=1, faults=(Fault(FaultName.RESET, chance=0.1),)))
    struck = names(scenario, *[(f"device {number}",) for number in range(2000)])

    assert 150 < struck.count("reset") < 250


def test_no_chance() -> None:
    """A chance of 0 never strikes."""
    scenario = Scenario(Plan(faults=(Fault(FaultName.RESET, chance=0),)))

    assert [""] * 9 == names(scenario, *[PHONE] * 9)


def test_plan_is_shown_with_its_progress() -> None:
    """The plan is shown as it was given, and how often each fault was met."""
    plan = parse_plan(b'{"seed": 3, "faults": [{"fault": "slow", "delay_seconds": 0.5}]}')
    scenario = Scenario(plan)
    names(scenario, PHONE)

    assert {
        "seed": 3,
        "faults": [{"fault": "slow", "delay_seconds": 0.5, "met": 1}],
        "apns_starts_with_one_stream": True,
        "apns_limits_token_updates": False,
    } == scenario.as_json()


@pytest.mark.parametrize("body", [b"", b"  ", b"{}", b'{"faults": []}'])
def test_empty_plans(body: bytes) -> None:
    """An empty body is a plan without faults."""
    assert Plan() == parse_plan(body)


@pytest.mark.parametrize(
    "body,problem",
    [
        ("{", "truncated"),
        ("[]", "Expected `object`"),
        ('{"fault": 1}', "unknown field `fault`"),
        ('{"seed": "x"}', "$.seed"),
        ('{"faults": [{}]}', "missing required field `fault`"),
        ('{"faults": [{"fault": "explode"}]}', "'explode'"),
        ('{"faults": [{"fault": "reset", "gateway": "adm"}]}', "$.faults[0].gateway"),
        ('{"faults": [{"fault": "reset", "chance": 2}]}', "$.faults[0].chance"),
        ('{"faults": [{"fault": "reset", "times": 0}]}', "$.faults[0].times"),
        ('{"faults": [{"fault": "reset", "delay_seconds": -1}]}', "$.faults[0].delay_seconds"),
        ('{"faults": [{"fault": "reset", "status": 500}]}', "`status` means nothing for `reset`"),
        ('{"faults": [{"fault": "answer"}]}', "`answer` needs `status`"),
        ('{"faults": [{"fault": "slow"}]}', "`slow` needs `delay_seconds`"),
        ('{"faults": [{"fault": "stall"}]}', "`stall` needs `delay_seconds`"),
        ('{"faults": [{"fault": "slow_reads"}]}', "`slow_reads` needs `delay_seconds`"),
        ('{"faults": [{"fault": "slow", "window_bytes": 1}]}', "`window_bytes` means nothing"),
        ('{"faults": [{"fault": "redirect"}]}', "`redirect` needs `location`"),
        ('{"faults": [{"fault": "bad_token", "gateway": "oauth"}]}', "no devices"),
        ('{"faults": [{"fault": "reset", "gateway": "oauth", "token": "x"}]}', "no devices"),
    ],
)
def test_bad_plans(body: str, problem: str) -> None:
    """A plan that cannot be followed is refused, naming what is wrong with it."""
    with pytest.raises(ScenarioError) as refusal:
        parse_plan(body.encode())

    assert problem in str(refusal.value)


@pytest.mark.parametrize("name", FaultName)
def test_every_fault_can_be_asked_for(name: FaultName) -> None:
    """Each name is good with at most the three fields that some of them need."""
    needs = {
        FaultName.ANSWER: ', "status": 500',
        FaultName.SLOW: ', "delay_seconds": 1',
        FaultName.SLOW_READS: ', "delay_seconds": 1',
        FaultName.STALL: ', "delay_seconds": 1',
        FaultName.REDIRECT: ', "location": "/"',
    }
    body = f'{{"faults": [{{"fault": "{name}"{needs.get(name, "")}}}]}}'

    assert name is parse_plan(body.encode()).faults[0].fault
